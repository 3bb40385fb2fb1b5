//! The local API of a node: `POST /v1/ask` on this machine, for whoever can read its token.

use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use linli_runtime::ask::{Answer, Trouble};
use linli_runtime::limits::QUESTION_BYTES_MAX;
use linli_runtime::local_api::LocalApi;
use tokio::net::TcpListener;

use crate::desk::Desk;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) desk: Arc<Desk>,
    pub(crate) api: LocalApi,
}

/// Answers until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new().route("/v1/ask", post(ask)).with_state(shared);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn ask(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let shown = request.headers().get(AUTHORIZATION);
    if !shown.is_some_and(|shown| shared.api.admits(shown.as_bytes())) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(body) = to_bytes(request.into_body(), QUESTION_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let answer = match serde_json::from_slice(&body) {
        Ok(ask) => shared.desk.ask(ask).await,
        Err(error) => Answer::Trouble(Trouble {
            code: "bad-question".into(),
            zh: format!("看不懂这个请求：{error}。请使用同一版本的命令和服务。"),
            en: format!(
                "The question is not understood: {error}. Use one version of command and daemon."
            ),
        }),
    };
    Json(answer).into_response()
}
