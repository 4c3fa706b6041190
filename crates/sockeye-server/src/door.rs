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
use std::time::Instant;

use sockeye::{HandedOver, Incoming, Rejection, Server};
use sockeye_hub::{Label, TopicName};

use crate::app::App;
use crate::auth::{Act, ClientRequest, CredentialError, Credentials, Denied, Grant};
use crate::crowd::Ticket;
use crate::guest::Guest;
use crate::http::ask;
use crate::http::problem::Problem;
use crate::plane::{Asked, Form, From, Json, Publishing, Raw, Relay};
use crate::policy::Policy;
use crate::protocol::SUBPROTOCOL;

/// The name of the subprotocol that is none: payloads as they are. For clients that must offer one,
/// since their token is in the header where subprotocols are.
pub(crate) const RAW: &str = "sockeye.v1.raw";

/// What a request asks for, and who from, as far as could be found out at once.
#[derive(Clone)]
struct Knock {
    form: Form,
    topics: Vec<TopicName>,
    from: From,
    policy: Arc<Policy>,
    number: u64,
    who: Credentials,
    ticket: Ticket,
    /// `None` when somebody must be asked.
    answer: Option<Result<Arc<Guest>, Denied>>,
}

/// Gives a server its WebSockets: `/t/{topic}`, `/ws` and `/echo`.
pub(crate) fn open(server: Server, app: &Arc<App>) -> Server {
    let (checking, topic, many, echo) = (app.clone(), app.clone(), app.clone(), app.clone());
    server
        .subprotocols([SUBPROTOCOL, RAW])
        .check(move |incoming| check(&checking, incoming))
        .hand_over("/t/{topic}", move |whole| enter(&topic, whole))
        .hand_over(MANY, move |whole| enter(&many, whole))
        .hand_over("/echo", move |whole| echo.plane.take(whole, Asked::Echo, None))
}

/// Judges a request as far as that takes no time.
fn check(app: &Arc<App>, incoming: &mut Incoming) -> Result<(), Rejection> {
    judge(app, incoming).map_err(|problem| {
        app.metrics().refused(problem.code);
        problem.rejection()
    })
}

/// As [`check`]; refused is told as everywhere.
fn judge(app: &Arc<App>, incoming: &mut Incoming) -> Result<(), Problem> {
    let policy = app.policies.current();
    let is_page = incoming.header("origin").is_some();
    if is_page && !allows_page(&policy, incoming) {
        return Err(Problem::foreign_page());
    }
    if incoming.param("topic").is_none() && incoming.uri().path() != MANY {
        return Ok(());
    }
    let knock = Knock::read(app, policy, incoming)?;
    if let Some(Err(denied)) = &knock.answer
        && !is_page
    {
        return Err(denied.clone().into());
    }
    incoming.extensions_mut().insert(knock);
    Ok(())
}

/// Serves a connection that asked for topics.
fn enter(app: &Arc<App>, mut whole: HandedOver) {
    let Some(mut knock) = whole.incoming.extensions_mut().remove::<Knock>() else { return };
    match knock.answer.take() {
        Some(answer) => knock.serve(app, whole, answer),
        None => {
            let app = app.clone();
            app.runtime.clone().spawn(async move {
                let answer = knock.ask(&app).await;
                knock.serve(&app, whole, answer);
            });
        }
    }
}

impl Knock {
    /// Reads a request.
    ///
    /// # Errors
    /// It asks for what there is not.
    fn read(app: &App, policy: Arc<Policy>, incoming: &Incoming) -> Result<Self, Problem> {
        let entered = app.crowd.enter(client_ip(incoming), Instant::now());
        let (ticket, uri) = (entered.map_err(Problem::crowded)?, incoming.uri());
        let speaks_json = incoming.subprotocols().any(|name| name == SUBPROTOCOL);
        let (form, topics) = match incoming.param("topic") {
            None => (Form::Json, Vec::new()),
            Some(_) if speaks_json => (Form::Json, ask::topics_of(uri, &app.http_limits)?),
            Some(_) => (Form::Raw, ask::topics_of(uri, &app.http_limits)?),
        };
        let from = ask::since_of(uri, incoming.headers());
        let from = from.map_or_else(|| From::Arrival(app.hub.cursor()), From::Cursor);
        let number = app.clients.number();
        let who = credentials(app, number, incoming, &policy).map_err(Denied::from)?;
        let mut knock = Self { form, topics, from, policy, number, who, ticket, answer: None };
        knock.answer = knock.decide(app);
        Ok(knock)
    }

    /// Decides without waiting; `None` when somebody must be asked.
    fn decide(&self, app: &App) -> Option<Result<Arc<Guest>, Denied>> {
        let now = app.clock.moment();
        let guest = match self.policy.auth.admit_now(&self.who, now)? {
            Ok(grant) => self.guest(app, grant),
            Err(denied) => return Some(Err(denied)),
        };
        for topic in self.checked_topics() {
            if let Err(denied) = guest.permit_now(Act::Subscribe, topic, now.wall)? {
                return Some(Err(denied));
            }
        }
        Some(Ok(Arc::new(guest)))
    }

    /// Asks whoever has to be asked.
    async fn ask(&self, app: &App) -> Result<Arc<Guest>, Denied> {
        let guest = self.guest(app, self.policy.auth.admit(&self.who).await?);
        for topic in self.checked_topics() {
            guest.permit(Act::Subscribe, topic).await?;
        }
        Ok(Arc::new(guest))
    }

    /// Returns the topics without which there is no point in coming in. A session tells of each what
    /// became of it.
    fn checked_topics(&self) -> &[TopicName] {
        match self.form {
            Form::Raw => &self.topics,
            Form::Json => &[],
        }
    }

    fn guest(&self, app: &App, grant: Arc<Grant>) -> Guest {
        let client = (self.number, self.who.client().clone());
        Guest::new(self.policy.clone(), client, grant, app.runtime.clone())
    }

    /// Serves the connection.
    fn serve(self, app: &Arc<App>, whole: HandedOver, answer: Result<Arc<Guest>, Denied>) {
        let ticket = self.ticket.clone();
        app.plane.take(whole, self.service(app, answer), Some(ticket));
    }

    /// Returns what serves the client.
    fn service(self, app: &Arc<App>, answer: Result<Arc<Guest>, Denied>) -> Asked {
        let guest = match answer {
            Ok(guest) => guest,
            Err(denied) => {
                app.metrics().refused(denied.code());
                return Asked::refused(&denied);
            }
        };
        let (app, Self { form, topics, from, .. }) = (app.clone(), self);
        match form {
            Form::Raw => {
                let publishing = publishing(&app, &guest, topics.first());
                Asked::Raw(Raw::new(app, topics, from, guest, publishing))
            }
            Form::Json => match Label::new(&guest.client.id) {
                Ok(name) => Asked::Json(Box::new(Json::new(app, guest, name, topics, from))),
                Err(_) => Asked::Refused(sockeye::CloseCode::INTERNAL, "internal"),
            },
        }
    }
}

/// Returns what becomes of what a client of the raw form sends.
fn publishing(app: &Arc<App>, guest: &Arc<Guest>, topic: Option<&TopicName>) -> Publishing {
    let Some(topic) = topic else { return Publishing::Refused };
    match guest.permit_now(Act::Publish, topic, app.clock.wall()) {
        Some(Ok(())) if !guest.has_hook(topic) => Publishing::Allowed,
        Some(Err(_)) => Publishing::Refused,
        Some(Ok(())) | None => {
            Publishing::Asked(Relay::new(app.clone(), topic.clone(), guest.clone()))
        }
    }
}

/// Tells whether a page may use the server.
fn allows_page(policy: &Policy, incoming: &Incoming) -> bool {
    let mut origins = incoming.headers().get_all("origin").iter();
    let host = incoming.header("host").unwrap_or_default();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => policy.allows_page(origin.as_bytes(), host),
        _ => false,
    }
}

fn client_ip(incoming: &Incoming) -> IpAddr {
    incoming.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addr| addr.ip())
}

/// Collects what a request tells of its sender.
fn credentials(
    app: &App,
    number: u64,
    incoming: &Incoming,
    policy: &Policy,
) -> Result<Credentials, CredentialError> {
    let (headers, ip): (Vec<_>, _) = (incoming.header_lines().collect(), client_ip(incoming));
    let target = incoming.uri().path_and_query().map_or("/", |target| target.as_str());
    let client = &app.clients.name(number);
    let request = ClientRequest { client, ip, target, headers: &headers };
    Credentials::collect(&request, &policy.credential_rules)
}

/// The path of the protocol for many topics.
const MANY: &str = "/ws";
