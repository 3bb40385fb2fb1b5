//! The asking side of a daemon's local API.
//!
//! One `POST /v1/ask` for each question, over one kept connection, never through a proxy. It
//! refuses to wait for ever on a daemon that is not there, but a long answer may take its time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{LocalApi, LocalApiError};
use crate::ask::{Answer, Ask, Trouble};
use crate::limits::ANSWER_BYTES_MAX;

/// Asks the daemon that runs over a data folder.
#[derive(Debug)]
pub struct AskClient {
    agent: ureq::Agent,
    url: String,
    authorization: String,
    data: PathBuf,
}

/// A question that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no daemon to ask.
    #[error(transparent)]
    Api(#[from] LocalApiError),
    /// The file is there and nobody answers: the daemon ended without removing it.
    #[error("the daemon over {data} is gone")]
    Gone {
        /// The data folder.
        data: PathBuf,
    },
    /// The daemon answered something else, or the connection broke in between.
    #[error("the daemon's answer did not come through: {0}")]
    Broken(Box<ureq::Error>),
}

impl AskClient {
    /// Finds the daemon.
    pub fn find(data: &Path) -> Result<Self, AskError> {
        let api = LocalApi::find(data)?;
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(2)))
            .max_redirects(0)
            .http_status_as_error(true)
            .build();
        Ok(Self {
            agent: config.new_agent(),
            url: format!("http://{}/v1/ask", api.address),
            authorization: format!("Bearer {}", api.token),
            data: data.to_owned(),
        })
    }

    /// Asks and waits for the answer.
    pub fn ask(&self, ask: &Ask) -> Result<Answer, AskError> {
        let sent =
            self.agent.post(&self.url).header("authorization", &self.authorization).send_json(ask);
        let mut response = sent.map_err(|error| self.explain(error))?;
        response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_json()
            .map_err(|error| AskError::Broken(Box::new(error)))
    }

    fn explain(&self, error: ureq::Error) -> AskError {
        match error {
            // Somebody else listens there now, or nobody does.
            ureq::Error::ConnectionFailed | ureq::Error::StatusCode(401 | 404) => {
                AskError::Gone { data: self.data.clone() }
            }
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                AskError::Gone { data: self.data.clone() }
            }
            error => AskError::Broken(Box::new(error)),
        }
    }
}

impl AskError {
    /// The same in both languages, with what to do next; `program` is `linli-node` or
    /// `linli-hub`.
    pub fn trouble(&self, program: &str) -> Trouble {
        match self {
            Self::Api(LocalApiError::Absent { data }) | Self::Gone { data } => Trouble {
                code: "not-running".into(),
                zh: format!(
                    "数据目录 {} 没有正在运行的程序。请先运行 `{program} serve --data {}`",
                    data.display(),
                    data.display()
                ),
                en: format!(
                    "no daemon is running over {}; start it with `{program} serve --data {}`",
                    data.display(),
                    data.display()
                ),
            },
            other => Trouble {
                code: "no-answer".into(),
                zh: format!("没有得到回答，请查看运行窗口里的日志：{other}"),
                en: format!("{other}; look at the daemon's log"),
            },
        }
    }
}
