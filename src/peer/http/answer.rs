//! An answer's body, unpacked as it comes.

use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;

use super::faults::failed;
use crate::peer::PeerError;
use crate::peer::compression::{BodyDecoder, CompressionError};
use crate::peer::wire::CODING;

/// The body of an answer.
pub(super) struct Answer {
    response: Response,
    url: String,
    decoder: Option<BodyDecoder>,
}

impl Answer {
    /// The body of an answer of the server at `url`. Errors where it is coded in a way that was not
    /// asked for.
    pub(super) fn new(response: Response, url: &str) -> Result<Answer, PeerError> {
        let url = url.to_owned();
        let decoder = match response.headers().get(CONTENT_ENCODING) {
            None => None,
            Some(coding) if coding == CODING => {
                Some(BodyDecoder::new().map_err(|error| broken(&url, error))?)
            }
            Some(_) => {
                let what = "an answer in a coding that was not asked for".to_owned();
                return Err(PeerError::UnexpectedResponse { url, what });
            }
        };
        Ok(Answer { response, url, decoder })
    }

    /// The next piece of it, unpacked; none at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, PeerError> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let piece = decoder.next().map_err(|error| broken(&self.url, error))?;
                if piece.is_some() {
                    return Ok(piece);
                }
            }
            let chunk = self.response.chunk().await.map_err(|error| failed(&self.url, error))?;
            match (chunk, &mut self.decoder) {
                (Some(chunk), Some(decoder)) => decoder.take(chunk.into()),
                (Some(chunk), None) => return Ok(Some(chunk.into())),
                (None, Some(decoder)) if !decoder.is_whole() => {
                    let reason = "the answer breaks off".to_owned();
                    return Err(PeerError::Stopped { url: self.url.clone(), reason, source: None });
                }
                (None, _) => return Ok(None),
            }
        }
    }
}

fn broken(url: &str, error: CompressionError) -> PeerError {
    PeerError::Stopped { url: url.to_owned(), reason: error.to_string(), source: None }
}
