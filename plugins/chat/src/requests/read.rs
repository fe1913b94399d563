//! `GET` without `live`: what follows an offset, read whole before the client sees a byte of it.

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Request, Resend};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method, StatusCode};

use crate::body::{Form, Parts};
use crate::cursor::Cursor;
use crate::node::answer::{Answer, Told, garbled};
use crate::node::link::{Link, Plain};
use crate::requests::Call;
use crate::requests::query::Query;
use crate::shared::{Said, bare};

/// A catch-up read.
#[derive(Debug)]
pub struct Read {
    /// What the client asked.
    pub call: Call,
    /// Its query.
    pub query: Query,
    /// What nodes have said.
    pub said: Said,
}

#[async_trait]
impl Request<Plain> for Read {
    type Reply = Answer;

    async fn attempt(
        &mut self,
        _: &mut Plain,
        link: &mut Link,
        director: &Director,
    ) -> Result<Answer, Failure> {
        self.said.begin(link.node);
        let call = &self.call;
        let headers = call
            .shared
            .headers(&call.headers, link, call.min.as_ref())?;
        let ask = bare(Method::GET, &call.target, headers);
        let (answer, told) = call.shared.exchange(link, call.about(), &ask).await?;
        let answer = self.said.judge(answer)?;
        let (answer, _) = once(call, self.query.cursor(), answer, &told, director)?;
        Ok(answer)
    }

    async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut Link>, why: &Exception) -> Resend {
        self.said.cleanup(&self.call.shared.memory, why)
    }
}

/// The answer without what a reader with that cursor was shown before, and whether anything is left that
/// it was not.
///
/// # Errors
/// [`Kind::Garbled`](director_sdk::Kind::Garbled) when the body is not what the headers say.
pub fn once(
    call: &Call,
    cursor: Option<Cursor>,
    mut answer: Answer,
    told: &Told,
    director: &Director,
) -> Result<(Answer, bool), Failure> {
    if answer.status != StatusCode::OK || told.entries.is_empty() {
        let news = !answer.body.is_empty();
        return Ok((answer, news));
    }
    let generation = told.next.as_ref().map_or(0, |next| next.generation);
    let cursor = cursor
        .filter(|cursor| cursor.generation == generation)
        .unwrap_or_default();
    let body = answer.body.clone();
    let bad = |error: crate::body::BadBody| garbled(error.to_string());
    let parts = Parts::of(form(&answer.headers), &body).map_err(bad)?;
    let cut =
        call.shared
            .memory
            .seen_before(&call.room, &cursor, &told.entries, &parts, director.now());
    if cut.is_empty() {
        return Ok((answer, true));
    }
    metrics::counter!("director_chat_cut_total").increment(cut.len() as u64);
    answer.body = parts.without(&cut).map_err(bad)?;
    let gone: usize = cut.iter().map(ExactSizeIterator::len).sum();
    Ok((answer, gone < parts.len()))
}

fn form(headers: &HeaderMap) -> Form {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    match essence.trim().eq_ignore_ascii_case("application/json") {
        true => Form::Json,
        false => Form::Bytes,
    }
}
