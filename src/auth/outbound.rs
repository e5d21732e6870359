//! Requests to providers: bounded in time and size, and never led elsewhere by a redirect.

use std::pin::Pin;
use std::time::Duration;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::redirect;

/// One request, from the dial to the last byte.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// Metadata, keys and users are a few kilobytes.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// Why a provider gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error("{}", chain(.0))]
    Request(#[from] reqwest::Error),
    #[error("the answer is longer than {BODY_MAX_BYTES} bytes")]
    TooLong,
    #[error("the answer cannot be read: {0}")]
    Answer(#[from] oauth2::http::Error),
}

#[derive(Clone)]
pub struct Outbound(reqwest::Client);

impl Outbound {
    pub fn new() -> Result<Self, OutboundError> {
        let client = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(REQUEST_LIMIT)
            .connect_timeout(REQUEST_LIMIT)
            // Logins are rare, and a kept connection that the provider is just closing would cost one its code.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("crosstalk/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
        let mut response = self.0.execute(request.try_into()?).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > BODY_MAX_BYTES {
                return Err(OutboundError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = HttpResponse::new(body);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for Outbound {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// An error with all its causes: what failed is in the last one. The address is left out, for it may hold a code.
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "took too long".to_owned() } else { "failed".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of a request to a server that answers this.
    async fn answered(answer: Vec<u8>) -> Result<HttpResponse, OutboundError> {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", server.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            // The client may have had enough before the end.
            let _ = stream.write_all(&answer).await;
        });
        let request = oauth2::http::Request::get(url).body(Vec::new()).unwrap();
        let result = Outbound::new().unwrap().send(request).await;
        serving.abort();
        result
    }

    #[tokio::test]
    async fn a_redirect_leads_nowhere() {
        let answer =
            answered(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_vec()).await.unwrap();
        assert_eq!(answer.status(), 302);
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        assert_eq!(
            answered([head.clone(), vec![b' '; BODY_MAX_BYTES]].concat()).await.unwrap().body().len(),
            BODY_MAX_BYTES
        );
        let result = answered([head, vec![b' '; BODY_MAX_BYTES + 1]].concat()).await;
        assert!(matches!(result, Err(OutboundError::TooLong)), "{result:?}");
    }
}
