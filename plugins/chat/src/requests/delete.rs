//! `DELETE`: a stream to be gone, and all that was written to it with it.

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Request, Resend};
use hyper::Method;

use crate::node::answer::Answer;
use crate::node::link::{Link, Plain};
use crate::requests::Call;
use crate::shared::{Said, bare, value};

/// A delete.
#[derive(Debug)]
pub struct Delete {
    /// What the client asked.
    pub call: Call,
    /// `WebFS-Request`: a server that has done it already answers as it did then.
    pub request: String,
    /// What nodes have said.
    pub said: Said,
}

#[async_trait]
impl Request<Plain> for Delete {
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
        let ask = bare(Method::DELETE, &call.target, headers);
        let (answer, _) = call.shared.exchange(link, call.about(), &ask).await?;
        let answer = self.said.judge(answer)?;
        if answer.status.is_success() {
            call.shared.memory.deleted(&call.room);
        }
        Ok(answer)
    }

    async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut Link>, why: &Exception) -> Resend {
        self.said.cleanup(&self.call.shared.memory, why)
    }
}
