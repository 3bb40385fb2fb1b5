//! The local API of a node: `POST /v1/ask` on this machine, for whoever can read its token.

use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Json, Router};
use linli_domain::id::Role;
use linli_runtime::ask::{Answer, Trouble};
use linli_runtime::limits::QUESTION_BYTES_MAX;
use linli_runtime::local_api::{LocalApi, fault_of};
use linli_runtime::policy::access::{self, Method, Scope};
use tokio::net::TcpListener;

use crate::desk::Desk;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) desk: Arc<Desk>,
    pub(crate) api: LocalApi,
    /// What this machine is.
    pub(crate) role: Role,
}

/// Answers until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new().route("/v1/ask", any(ask)).fallback(nothing).with_state(shared);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn ask(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    if !admitted(&shared, &request) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // Here and not by the router, which would tell anybody which method there is.
    if request.method().as_str() != "POST" {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Ok(body) = to_bytes(request.into_body(), QUESTION_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let answer = match serde_json::from_slice(&body) {
        Ok(ask) => shared.desk.ask(ask).await,
        Err(error) => Answer::Trouble(Trouble {
            code: "bad-question".into(),
            zh: format!("看不懂这个请求（{}）。请使用同一版本的命令和服务。", fault_of(&error)),
            en: format!(
                "The question is not understood ({}). Use one version of command and daemon.",
                fault_of(&error)
            ),
        }),
    };
    Json(answer).into_response()
}

/// What does not exist: who may not ask is not told even that.
async fn nothing(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let known = admitted(&shared, &request);
    if known { StatusCode::NOT_FOUND } else { StatusCode::UNAUTHORIZED }.into_response()
}

fn admitted(shared: &Shared, request: &Request<Body>) -> bool {
    let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    access::may(shared.role, Method::Ask, shared.api.who(shown), Scope::Own)
}
