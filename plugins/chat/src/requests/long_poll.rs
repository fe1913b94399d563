//! `GET` with `live=long-poll`: one answer, as soon as there is something the client has not seen.

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Request, Resend};
use hyper::{Method, StatusCode};

use crate::cursor::Cursor;
use crate::node::answer::Answer;
use crate::node::link::{Ask, Link, Plain};
use crate::requests::Call;
use crate::requests::query::Query;
use crate::requests::read::once;
use crate::shared::{Said, bare};

/// A long-poll.
#[derive(Debug)]
pub struct LongPoll {
    /// What the client asked.
    pub call: Call,
    /// Its query.
    pub query: Query,
    /// Where it stands, once answers were passed over that held nothing new.
    pub at: Option<Cursor>,
    /// What nodes have said.
    pub said: Said,
}

#[async_trait]
impl Request<Plain> for LongPoll {
    type Reply = Answer;

    async fn attempt(
        &mut self,
        _: &mut Plain,
        link: &mut Link,
        director: &Director,
    ) -> Result<Answer, Failure> {
        self.said.begin(link.node);
        loop {
            let call = &self.call;
            let headers = call
                .shared
                .headers(&call.headers, link, call.min.as_ref())?;
            let offset = self.at.as_ref().map(Cursor::to_string);
            let target = self.query.from(offset.as_deref());
            let ask = Ask {
                patient: true,
                ..bare(Method::GET, &target, headers)
            };
            let (answer, told) = call.shared.exchange(link, call.about(), &ask).await?;
            let answer = self.said.judge(answer)?;
            let cursor = self.at.clone().or_else(|| self.query.cursor());
            let (answer, news) = once(call, cursor, answer, &told, director)?;
            match told.next {
                // All of it was shown before, under other names: the client waits on.
                Some(next) if answer.status == StatusCode::OK && !news && answer.keeps => {
                    self.at = Some(next);
                }
                _ => return Ok(answer),
            }
        }
    }

    async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut Link>, why: &Exception) -> Resend {
        self.said.cleanup(&self.call.shared.memory, why)
    }
}
