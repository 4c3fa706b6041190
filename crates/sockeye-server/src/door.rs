//! The door of WebSockets: who is let in, and what serves the connection then.
//!
//! ```text
//!   request ──► check: topics, credentials, what can be decided at once ──► 101, or a refusal
//!                 │ Knock, attached to the request
//!                 ▼
//!   connection ──► decided? ── yes ──► the reactor
//!                     └─ no ──► a task asks the back end ──► the reactor
//! ```
//!
//! A page learns nothing from a handshake that is refused but that it failed. So a request of a page
//! is answered with 101 and a Close frame whose code tells why; programs get the status.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use sockeye::{CloseCode, HandedOver, Incoming, Rejection, Server};
use sockeye_hub::{Since, TopicName};

use crate::app::App;
use crate::auth::{Act, ClientRequest, Credentials, Denied};
use crate::guest::Guest;
use crate::http::ask;
use crate::http::problem::Problem;
use crate::plane::{Asking, Echo, Form, Publishing, Raw, Relay, Service};
use crate::policy::Policy;
use crate::protocol::SUBPROTOCOL;

/// The name of the subprotocol that is none: payloads as they are. For clients that must offer one,
/// since their token is in the header where subprotocols are.
pub const RAW: &str = "sockeye.v1.raw";

/// What a request asks for, and who from, as far as could be found out at once.
#[derive(Clone)]
struct Knock {
    topics: Vec<TopicName>,
    since: Since,
    policy: Arc<Policy>,
    who: Credentials,
    /// `None` when somebody must be asked.
    answer: Option<Result<Arc<Guest>, Denied>>,
}

/// Gives a server its WebSockets: `/t/{topic}`, `/ws` and `/echo`.
pub fn open(server: Server, app: &Arc<App>) -> Server {
    let (checking, topics, echoing) = (app.clone(), app.clone(), app.clone());
    server
        .subprotocols([SUBPROTOCOL, RAW])
        .check(move |incoming| check(&checking, incoming))
        .hand_over("/t/{topic}", move |whole| enter(&topics, whole))
        .hand_over("/echo", move |whole| echoing.plane.take(whole, Service::Echo(Echo)))
}

/// Judges a request as far as that takes no time.
fn check(app: &Arc<App>, incoming: &mut Incoming) -> Result<(), Rejection> {
    if incoming.param("topic").is_none() {
        return Ok(());
    }
    let knock = Knock::read(app, incoming).map_err(|problem| problem.rejection())?;
    if let Some(Err(denied)) = &knock.answer
        && incoming.header("origin").is_none()
    {
        return Err(Problem::from(denied.clone()).rejection());
    }
    incoming.extensions_mut().insert(knock);
    Ok(())
}

/// Serves a connection that asked for topics.
fn enter(app: &Arc<App>, mut whole: HandedOver) {
    let Some(knock) = whole.incoming.extensions_mut().remove::<Knock>() else { return };
    match knock.answer.clone() {
        Some(answer) => app.plane.take(whole, service(app, knock, answer)),
        None => {
            let app = app.clone();
            app.runtime.clone().spawn(async move {
                let answer = knock.ask(&app).await;
                app.plane.take(whole, service(&app, knock, answer));
            });
        }
    }
}

/// Returns what serves a client.
fn service(app: &Arc<App>, knock: Knock, answer: Result<Arc<Guest>, Denied>) -> Service {
    let guest = match answer {
        Ok(guest) => guest,
        Err(denied) => return Service::refused(&denied),
    };
    let publishing = match knock.topics.first() {
        Some(topic) => match guest.permit_now(Act::Publish, topic, app.clock.wall()) {
            Some(Ok(())) => Publishing::Allowed,
            Some(Err(_)) => Publishing::Refused,
            None => Publishing::Asked(Relay::new(app.clone(), topic.clone(), guest.clone())),
        },
        None => Publishing::Refused,
    };
    Service::Raw(Box::new(Raw::new(app.clone(), knock.topics, knock.since, guest, publishing)))
}

impl Knock {
    /// Reads a request.
    ///
    /// # Errors
    /// It asks for what there is not.
    fn read(app: &Arc<App>, incoming: &Incoming) -> Result<Self, Problem> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        (parts.uri, parts.headers) = (incoming.uri().clone(), incoming.headers().clone());
        let topics = ask::topics(&parts, &app.http_limits)?;
        let since = ask::since(&parts).unwrap_or(Since::Now);
        let policy = app.policies.current();
        let who = credentials(app, incoming, &policy).map_err(Problem::from)?;
        let mut knock = Self { topics, since, policy, who, answer: None };
        knock.answer = knock.decide(app);
        Ok(knock)
    }

    /// Decides without waiting; `None` when somebody must be asked.
    fn decide(&self, app: &Arc<App>) -> Option<Result<Arc<Guest>, Denied>> {
        let moment = app.clock.moment();
        let grant = match self.policy.auth.admit_now(&self.who, moment)? {
            Ok(grant) => grant,
            Err(denied) => return Some(Err(denied)),
        };
        let guest = self.guest(app, grant);
        for topic in &self.topics {
            if let Err(denied) = guest.permit_now(Act::Subscribe, topic, moment.wall)? {
                return Some(Err(denied));
            }
        }
        Some(Ok(Arc::new(guest)))
    }

    /// Asks whoever has to be asked.
    async fn ask(&self, app: &Arc<App>) -> Result<Arc<Guest>, Denied> {
        let guest = self.guest(app, self.policy.auth.admit(&self.who).await?);
        for topic in &self.topics {
            guest.permit(Act::Subscribe, topic).await?;
        }
        Ok(Arc::new(guest))
    }

    fn guest(&self, app: &App, grant: crate::auth::Grant) -> Guest {
        let client = self.who.client().clone();
        Guest::new(self.policy.clone(), client, grant, app.runtime.clone())
    }
}
