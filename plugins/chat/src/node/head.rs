//! The head of a node's answer, and how its body is framed.

use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, StatusCode, http::HeaderValue};

/// Longest head, in bytes.
pub const MAX_HEAD: usize = 64 * 1024;
/// Most headers of an answer.
const MAX_HEADERS: usize = 100;

/// Status and headers of an answer.
#[derive(Debug)]
pub struct Head {
    /// Its status; never 1xx.
    pub status: StatusCode,
    /// Its headers, without those of the connection.
    pub headers: HeaderMap,
    /// How its body is framed.
    pub framing: Framing,
    /// Whether the connection may carry another request after it.
    pub keeps: bool,
}

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// That many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// To the end of the connection.
    UntilEnd,
}

/// Reads a head from the bytes of a connection; `None` while it is not whole. With it comes how many
/// bytes it has. Answers of 1xx count as bytes before it.
///
/// # Errors
/// What is wrong with it.
pub fn parse(bytes: &[u8], method: &Method) -> Result<Option<(usize, Head)>, String> {
    let mut skipped = 0;
    loop {
        let rest = bytes.get(skipped..).unwrap_or_default();
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let len = match answer.parse(rest) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(format!("its answer is no HTTP: {error}")),
        };
        let code = answer.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).map_err(|_| format!("its status is {code}"))?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err("it switched protocols, unasked".to_owned());
        }
        skipped += len;
        if !status.is_informational() {
            let old = answer.version == Some(0);
            let head = head(status, old, answer.headers, method)?;
            return Ok(Some((skipped, head)));
        }
    }
}

fn head(
    status: StatusCode,
    old: bool,
    parsed: &[httparse::Header<'_>],
    method: &Method,
) -> Result<Head, String> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| "a header's name is none".to_owned())?;
        let value = HeaderValue::from_bytes(header.value)
            .map_err(|_| format!("header {name} has a control character in it"))?;
        headers.append(name, value);
    }
    let framing = framing(status, &headers, method)?;
    let closes = says(&headers, "close") || (old && !says(&headers, "keep-alive"));
    strip_hop_by_hop(&mut headers);
    headers.remove(CONTENT_LENGTH);
    Ok(Head {
        status,
        headers,
        framing,
        keeps: !closes && framing != Framing::UntilEnd,
    })
}

fn framing(status: StatusCode, headers: &HeaderMap, method: &Method) -> Result<Framing, String> {
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless || *method == Method::HEAD {
        return Ok(Framing::Length(0));
    }
    if let Some(coding) = headers.get(TRANSFER_ENCODING) {
        let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !chunked || headers.contains_key(CONTENT_LENGTH) {
            return Err("its body is framed in a way that cannot be read safely".to_owned());
        }
        return Ok(Framing::Chunked);
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let digits = value.to_str().unwrap_or_default();
        let parsed = digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok())
            .flatten();
        if parsed.is_none() || length.is_some_and(|length| Some(length) != parsed) {
            return Err("its Content-Length is no number, or two".to_owned());
        }
        length = parsed;
    }
    Ok(length.map_or(Framing::UntilEnd, Framing::Length))
}

fn says(headers: &HeaderMap, word: &str) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case(word))
}

/// Takes out what belongs to one connection and not to the message.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let fixed = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    for name in named {
        headers.remove(name);
    }
    for name in fixed {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Option<(usize, Head)>, String> {
        parse(text.as_bytes(), &Method::GET)
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";
        let whole = text.len() - "hello".len();
        for cut in 0..whole {
            assert!(read(&text[..cut]).unwrap().is_none(), "{cut}");
        }
        let (len, head) = read(text).unwrap().unwrap();
        assert_eq!(
            (len, head.framing, head.keeps),
            (whole, Framing::Length(5), true)
        );
        assert_eq!(head.headers.len(), 1);
    }

    #[test]
    fn framings() {
        let framing = |lines: &str| {
            read(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"))
                .map(|head| head.map(|(_, head)| (head.framing, head.keeps)))
        };
        assert_eq!(framing(""), Ok(Some((Framing::UntilEnd, false))));
        assert_eq!(
            framing("Transfer-Encoding: Chunked\r\n"),
            Ok(Some((Framing::Chunked, true)))
        );
        assert_eq!(
            framing("Content-Length: 3\r\nContent-Length: 3\r\nConnection: foo, Close\r\n"),
            Ok(Some((Framing::Length(3), false)))
        );
        for bad in [
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: \r\n",
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
        ] {
            assert!(framing(bad).is_err(), "{bad}");
        }
        let none = parse(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            &Method::HEAD,
        );
        assert_eq!(none.unwrap().unwrap().1.framing, Framing::Length(0));
        let none = read("HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((none.1.framing, none.1.keeps), (Framing::Length(0), true));
    }

    #[test]
    fn what_belongs_to_the_connection_goes() {
        let text = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n";
        let (_, head) = read(text).unwrap().unwrap();
        let names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-end"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, &Method::GET);
            let mut begun = b"HTTP/1.1 200 OK\r\n".to_vec();
            begun.extend(bytes);
            let _ = parse(&begun, &Method::GET);
        }
    }
}
