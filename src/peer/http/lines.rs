//! Answers that are lines: read one by one, each within a bound.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::stream::try_unfold;
use reqwest::Response;
use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio::time::{Instant, timeout};
use tokio_util::io::StreamReader;

use super::answer::Answer;
use super::faults::late;
use crate::peer::PeerError;

/// An answer that is read line by line.
pub(super) struct Lines {
    pub(super) response: Response,
    pub(super) url: String,
    /// How long each line may take.
    pub(super) line_time: Duration,
    /// How long all of them may take.
    pub(super) whole_time: Duration,
}

/// Calls `each` with every line of a body, of at most `most` bytes, until it breaks. The body is
/// never held whole. Each line must come whole in time, and so must the last one: what does not end is
/// read no longer than a session lasts.
///
/// Not tokio-util's `LinesCodec`, which takes what a body breaks off in for a line.
pub(super) async fn read_lines(
    lines: Lines,
    most: usize,
    mut each: impl FnMut(&str) -> Result<ControlFlow<()>, PeerError>,
) -> Result<(), PeerError> {
    let Lines { response, url, line_time, whole_time } = lines;
    let began = Instant::now();
    let unexpected =
        |what: &str| PeerError::UnexpectedResponse { url: url.clone(), what: what.to_owned() };
    let stopped = |reason: String| PeerError::Stopped { url: url.clone(), reason, source: None };
    let answer = Answer::new(response, &url)?;
    let pieces = try_unfold(answer, |mut answer| async {
        let piece = answer.chunk().await.map_err(io::Error::other)?;
        Ok::<_, io::Error>(piece.map(|piece| (io::Cursor::new(piece), answer)))
    });
    let mut body = StreamReader::new(Box::pin(pieces));
    let mut held: Vec<u8> = Vec::new();
    loop {
        // Asked for each line: one that is there already is read without waiting.
        if began.elapsed() > whole_time {
            return Err(late(&url, "the answer", whole_time));
        }
        held.clear();
        let mut line = (&mut body).take(most as u64 + 1);
        let read = timeout(line_time, line.read_until(b'\n', &mut held)).await;
        let read = read.map_err(|_| late(&url, "a line", line_time))?;
        read.map_err(|error| error.downcast().unwrap_or_else(|error| stopped(error.to_string())))?;
        match held.pop() {
            None => return Ok(()),
            Some(b'\n') => {}
            Some(_) if held.len() == most => return Err(unexpected("a line that does not end")),
            // The server ends every line: half a line means that it failed on the way.
            Some(_) => return Err(stopped("the answer breaks off".into())),
        }
        let line = str::from_utf8(&held).map_err(|_| unexpected("a line that is not UTF-8"))?;
        if each(line)?.is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    /// Reads lines of at most four bytes from a server that answers with `body`.
    async fn read(body: &[u8]) -> (Vec<String>, Result<(), PeerError>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            socket.write_all(body).await.unwrap();
            socket.shutdown().await.unwrap();
        };
        let mut held = Vec::new();
        let ask = async {
            let client = reqwest::Client::builder()
                .tls_backend_preconfigured(super::super::empty_tls().unwrap());
            let response = client.build().unwrap().get(&url).send().await.unwrap();
            let time = Duration::from_secs(30);
            let lines = Lines { response, url: url.clone(), line_time: time, whole_time: time };
            let each = |line: &str| {
                held.push(line.to_owned());
                Ok(ControlFlow::Continue(()))
            };
            read_lines(lines, 4, each).await
        };
        let (read, ()) = tokio::join!(ask, answer);
        (held, read)
    }

    #[tokio::test]
    async fn whole_lines_are_given_out_and_no_others() {
        let (lines, end) = read(b"a\n\nfour\n").await;
        assert_eq!(lines, ["a", "", "four"]);
        end.unwrap();
        let (lines, end) = read(b"a\nfou").await;
        assert_eq!(lines, ["a"]);
        assert!(matches!(end, Err(PeerError::Stopped { .. })), "{end:?}");
        for refused in [b"a\nfive!\n".as_slice(), b"a\nfive!!", b"a\n\xff\n"] {
            let (lines, end) = read(refused).await;
            assert_eq!(lines, ["a"]);
            assert!(matches!(end, Err(PeerError::UnexpectedResponse { .. })), "{end:?}");
        }
    }
}
