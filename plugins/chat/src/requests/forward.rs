//! `HEAD`, `OPTIONS`, and whatever is no stream's: asked as it came, answered as it comes.

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Request, Resend};
use hyper::{HeaderMap, Method};

use crate::cursor::Cursor;
use crate::memory::room::Room;
use crate::node::answer::Answer;
use crate::node::link::{Link, Plain};
use crate::shared::{Said, Shared, bare};

use std::sync::Arc;

/// A request that changes nothing.
#[derive(Debug)]
pub struct Forward {
    /// What all sessions share.
    pub shared: Arc<Shared>,
    /// The stream and `Stream-Min-Offset`, if it is about one.
    pub about: Option<(Arc<Room>, Option<Cursor>)>,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The client's headers, as far as they are forwarded.
    pub headers: HeaderMap,
    /// What nodes have said.
    pub said: Said,
}

#[async_trait]
impl Request<Plain> for Forward {
    type Reply = Answer;

    async fn attempt(
        &mut self,
        _: &mut Plain,
        link: &mut Link,
        _: &Director,
    ) -> Result<Answer, Failure> {
        self.said.begin(link.node);
        let about = self.about.as_ref();
        let about = about.map(|(room, min)| (&**room, min.as_ref()));
        let min = about.and_then(|(_, min)| min);
        let headers = self.shared.headers(&self.headers, link, min)?;
        let ask = bare(self.method.clone(), &self.target, headers);
        let (answer, _) = self.shared.exchange(link, about, &ask).await?;
        self.said.judge(answer)
    }

    async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut Link>, why: &Exception) -> Resend {
        self.said.cleanup(&self.shared.memory, why)
    }
}
