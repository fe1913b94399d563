//! What a spawned node says on its outputs, line by line, into our log.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// A longer line is cut; what is left of it is dropped.
const LONGEST: usize = 8 * 1024;

/// Hands over each line of `from` until its end. Bytes that are no UTF-8 are replaced.
///
/// # Cancel safety
/// Dropped midway, the begun line is lost.
pub(super) async fn each<R, F>(mut from: R, mut line: F)
where
    R: AsyncBufRead + Unpin,
    F: FnMut(&str),
{
    let mut begun: Vec<u8> = Vec::new();
    loop {
        let chunk = match from.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(chunk) => chunk,
        };
        let (part, ended) = match chunk.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&chunk[..end], true),
            None => (chunk, false),
        };
        let room = LONGEST.saturating_sub(begun.len());
        begun.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(ended);
        from.consume(used);
        if ended {
            line(String::from_utf8_lossy(&begun).trim_end());
            begun.clear();
        }
    }
    if !begun.is_empty() {
        line(String::from_utf8_lossy(&begun).trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines_of(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        each(bytes, |line| lines.push(line.to_owned())).await;
        lines
    }

    #[tokio::test]
    async fn lines_come_whole_and_the_last_one_too() {
        assert_eq!(
            lines_of(b"one\r\n\ntwo\xff\nthree").await,
            ["one", "", "two\u{fffd}", "three"]
        );
        assert!(lines_of(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut() {
        let mut long = vec![b'x'; 3 * LONGEST];
        long.extend_from_slice(b"\nnext\n");
        let lines = lines_of(&long).await;
        assert_eq!((lines[0].len(), lines[1].as_str()), (LONGEST, "next"));
    }
}
