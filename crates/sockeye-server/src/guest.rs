//! A client that has been admitted, whatever door it came by.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use sockeye_hub::{Publication, TopicName};
use tokio::runtime::Handle;

use crate::auth::{Act, Auth, Client, Credentials, Denied, Grant};
use crate::hook::Answer;
use crate::policy::Policy;

/// Who was admitted, and what it may do. A back end that wants to know that a client has gone is
/// told when this is dropped.
pub(crate) struct Guest {
    /// The policy under which it was admitted.
    pub(crate) policy: Arc<Policy>,
    /// Its number among the clients.
    pub(crate) number: u64,
    pub(crate) client: Client,
    pub(crate) grant: Arc<Grant>,
    runtime: Handle,
}

impl Guest {
    /// Takes note of a client, on the runtime on which a back end is told of its leaving.
    pub(crate) fn new(
        policy: Arc<Policy>,
        (number, client): (u64, Client),
        grant: Arc<Grant>,
        runtime: Handle,
    ) -> Self {
        Self { policy, number, client, grant, runtime }
    }

    /// Decides whether it may do something with a topic, and asks whom it has to.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) async fn permit(&self, act: Act, topic: &TopicName) -> Result<(), Denied> {
        self.permit_as(&self.grant, act, topic).await
    }

    /// As [`permit`](Self::permit), under a grant that it got since.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn permit_as(
        &self,
        grant: &Grant,
        act: Act,
        topic: &TopicName,
    ) -> Result<(), Denied> {
        self.policy.auth.permit(act, (&self.client, grant), topic).await
    }

    /// Tells whether somebody answers what it publishes to a topic.
    pub(crate) fn has_hook(&self, topic: &TopicName) -> bool {
        self.policy.hooks.as_ref().is_some_and(|hooks| hooks.has(topic))
    }

    /// Finds out what becomes of what it publishes, if it may.
    ///
    /// # Errors
    /// Why nothing.
    pub(crate) async fn relay(
        &self,
        grant: &Grant,
        publication: Publication,
    ) -> Result<Answer, Denied> {
        self.permit_as(grant, Act::Publish, &publication.topic).await?;
        self.answer(grant, publication).await
    }

    /// Finds out what becomes of what it publishes and may publish.
    ///
    /// # Errors
    /// Why nothing.
    pub(crate) async fn answer(
        &self,
        grant: &Grant,
        publication: Publication,
    ) -> Result<Answer, Denied> {
        match &self.policy.hooks {
            Some(hooks) => hooks.ask(publication, (&self.client, grant), SystemTime::now()).await,
            None => Ok(Answer { publish: Some(publication), reply: None }),
        }
    }

    /// Finds out what another token of it allows.
    ///
    /// # Errors
    /// Why nothing.
    pub(crate) async fn admit(&self, token: String) -> Result<Arc<Grant>, Denied> {
        let who = Credentials::renewed(self.client.clone(), token)?;
        self.policy.auth.admit(&who).await
    }

    /// As [`permit`](Self::permit), without waiting; `None` when somebody must be asked.
    pub(crate) fn permit_now(
        &self,
        act: Act,
        topic: &TopicName,
        now: SystemTime,
    ) -> Option<Result<(), Denied>> {
        self.policy.auth.permit_now(act, &self.grant, topic, now)
    }

    /// Tells whether a back end wants to hear of it, now or when it leaves.
    pub(crate) fn is_of_interest(&self) -> bool {
        matches!(self.policy.auth, Auth::Webhook(_))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !self.is_of_interest() {
            return;
        }
        let (policy, client) = (self.policy.clone(), self.client.clone());
        let grant = self.grant.clone();
        self.runtime.spawn(async move {
            // A back end that can't be told now is not told again.
            let _ = policy.auth.left(&client, &grant).await;
        });
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("client", &self.client.id).finish_non_exhaustive()
    }
}
