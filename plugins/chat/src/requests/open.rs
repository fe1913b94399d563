//! `PUT`: a stream to be there.

use async_trait::async_trait;
use bytes::Bytes;
use director_sdk::{Director, Exception, Failure, Request, Resend};
use hyper::Method;

use crate::node::answer::Answer;
use crate::node::link::{Ask, Link, Plain};
use crate::requests::Call;
use crate::shared::{Said, bare, value};

/// A create.
#[derive(Debug)]
pub struct Open {
    /// What the client asked.
    pub call: Call,
    /// What the stream begins with.
    pub body: Bytes,
    /// `WebFS-Request`: a server that has it already answers as it did then.
    pub request: String,
    /// What nodes have said.
    pub said: Said,
}

#[async_trait]
impl Request<Plain> for Open {
    type Reply = Answer;

    async fn attempt(
        &mut self,
        _: &mut Plain,
        link: &mut Link,
        _: &Director,
    ) -> Result<Answer, Failure> {
        self.said.begin(link.node);
        let call = &self.call;
        let mut headers = call
            .shared
            .headers(&call.headers, link, call.min.as_ref())?;
        headers.insert("webfs-request", value(&self.request)?);
        let ask = Ask {
            body: self.body.clone(),
            ..bare(Method::PUT, &call.target, headers)
        };
        let (answer, _) = call.shared.exchange(link, call.about(), &ask).await?;
        self.said.judge(answer)
    }

    async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut Link>, why: &Exception) -> Resend {
        self.said.cleanup(&self.call.shared.memory, why)
    }
}
