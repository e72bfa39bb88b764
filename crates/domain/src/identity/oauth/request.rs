//! An authorization request, taken apart (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).

use kernel::Secret;

use super::{AuthorizeRefusal, demands::Demands, refusal::Stop};

/// The longest value of a parameter, in bytes.
const LONGEST: usize = 4096;
/// Parameters of a request.
const MOST: usize = 60;
/// The length of an S256 challenge (RFC 7636 §4.2), in characters.
const CHALLENGE: usize = 43;

/// How an answer travels (OAuth 2.0 Multiple Response Types, OAuth 2.0 Form Post Response Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of the address.
    Query,
    /// In its fragment.
    Fragment,
    /// In a form that the browser posts.
    FormPost,
}

/// The parameters of an authorization request, decoded, in order, and the ticket it carries back from a sign-in.
#[derive(Clone, Debug)]
pub struct AuthorizeRequest {
    parameters: Vec<(String, String)>,
    ticket: Option<Secret<String>>,
}

/// A parameter that comes twice.
pub(super) struct Twice;

impl AuthorizeRequest {
    /// The name of the parameter in which a request carries its ticket through a sign-in.
    pub const TICKET: &'static str = "ticket";

    /// A request with these parameters.
    pub fn new(parameters: Vec<(String, String)>) -> Self {
        let (tickets, parameters): (Vec<_>, Vec<_>) =
            parameters.into_iter().partition(|(name, _)| name == Self::TICKET);
        Self { parameters, ticket: tickets.into_iter().next().map(|(_, ticket)| Secret::new(ticket)) }
    }

    /// All parameters but the ticket, as they came.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn ticket(&self) -> Option<&str> {
        self.ticket.as_ref().map(|ticket| ticket.expose().as_str())
    }

    /// A parameter; one without a value is as good as none (RFC 6749 §3.1).
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Twice> {
        let mut values = self.parameters().filter(|(known, _)| *known == name).map(|(_, value)| value);
        let (value, more) = (values.next(), values.next());
        if more.is_some() { Err(Twice) } else { Ok(value.filter(|value| !value.is_empty())) }
    }

    /// How the answer is to travel, as far as that can be understood: refusals travel too.
    pub(super) fn mode(&self) -> Option<ResponseMode> {
        match self.one("response_mode") {
            Ok(None) if self.is_implicit() => Some(ResponseMode::Fragment),
            Ok(None | Some("query")) => Some(ResponseMode::Query),
            Ok(Some("fragment")) => Some(ResponseMode::Fragment),
            Ok(Some("form_post")) => Some(ResponseMode::FormPost),
            Ok(Some(_)) | Err(Twice) => None,
        }
    }

    fn is_implicit(&self) -> bool {
        let kinds = self.one("response_type").ok().flatten().unwrap_or_default();
        kinds.split_ascii_whitespace().any(|kind| kind == "token" || kind == "id_token")
    }
}

/// Whom to ask, as the application wants it (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Nobody may be asked.
    pub none: bool,
    /// The person has to prove themselves now, whatever they did before.
    pub again: bool,
    /// The person has to be asked which account.
    pub choose: bool,
}

/// What is asked, once it is known who asks and where the answer goes.
pub(super) struct Asking {
    pub scope: String,
    pub nonce: Option<String>,
    pub challenge: Option<String>,
    pub prompt: Prompt,
    /// Seconds since the last proof that still count.
    pub max_age: Option<i64>,
    pub hint: Option<String>,
    pub demands: Demands,
    pub wants_client_info: bool,
}

impl Asking {
    /// Reads everything else. `needs_challenge`: the client must use PKCE.
    pub(super) fn read(request: &AuthorizeRequest, needs_challenge: bool) -> Result<Self, AuthorizeRefusal> {
        let malformed = |why: &str| AuthorizeRefusal::Malformed(why.to_owned());
        for (at, (name, value)) in request.parameters().enumerate() {
            if at >= MOST || name.len() > LONGEST || value.len() > LONGEST {
                return Err(malformed("the request has too many parameters, or one that is too long"));
            }
            if request.one(name).is_err() {
                return Err(AuthorizeRefusal::Malformed(format!("the parameter `{}` comes twice", shown(name))));
            }
        }
        let one = |name: &str| request.one(name).ok().flatten();
        let refused = [
            ("request", AuthorizeRefusal::RequestObject),
            ("request_uri", AuthorizeRefusal::RequestUri),
            ("registration", AuthorizeRefusal::Registration),
        ];
        if let Some((_, why)) = refused.into_iter().find(|(name, _)| one(name).is_some()) {
            return Err(why);
        }
        match one("response_type") {
            Some("code") => {}
            Some(_) => return Err(AuthorizeRefusal::ResponseType),
            None => return Err(malformed("the parameter `response_type` is missing")),
        }
        if request.mode().is_none() {
            return Err(malformed("the parameter `response_mode` must be `query`, `fragment` or `form_post`"));
        }
        let challenge = challenge(one("code_challenge"), one("code_challenge_method"), needs_challenge)?;
        let demands = Demands::read(one("claims")).map_err(|stop| match stop {
            Stop::Refused(super::TokenRefusal::Malformed(why)) => AuthorizeRefusal::Malformed(why),
            Stop::Refused(_) | Stop::Failed(_) => malformed("the parameter `claims` cannot be read"),
        })?;
        let max_age = one("max_age").map(|age| age.parse().ok().filter(|age| *age >= 0)).map(|age: Option<i64>| {
            age.ok_or_else(|| malformed("the parameter `max_age` must be a number of seconds"))
        });
        Ok(Self {
            scope: one("scope").unwrap_or_default().to_owned(),
            nonce: one("nonce").map(str::to_owned),
            challenge,
            prompt: prompt(one("prompt"))?,
            max_age: max_age.transpose()?,
            hint: one("login_hint").map(str::to_owned),
            demands,
            wants_client_info: one("client_info") == Some("1"),
        })
    }
}

/// Only S256, and never none for a client that needs one: a request without is a downgrade (RFC 9700 §2.1.1).
fn challenge(
    challenge: Option<&str>,
    method: Option<&str>,
    needs_challenge: bool,
) -> Result<Option<String>, AuthorizeRefusal> {
    let malformed = |why: &str| AuthorizeRefusal::Malformed(why.to_owned());
    let Some(challenge) = challenge else {
        return if needs_challenge || method.is_some() {
            Err(malformed("the parameter `code_challenge` is missing: this application must use PKCE"))
        } else {
            Ok(None)
        };
    };
    if method != Some("S256") {
        return Err(malformed("the parameter `code_challenge_method` must be `S256`"));
    }
    let is_digest = challenge.len() == CHALLENGE
        && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_digest {
        Ok(Some(challenge.to_owned()))
    } else {
        Err(malformed("the parameter `code_challenge` must be 43 characters of base64url"))
    }
}

fn prompt(text: Option<&str>) -> Result<Prompt, AuthorizeRefusal> {
    let mut prompt = Prompt::default();
    let words: Vec<&str> = text.unwrap_or_default().split_ascii_whitespace().collect();
    for word in &words {
        match *word {
            "none" if words.len() == 1 => prompt.none = true,
            "login" | "create" => prompt.again = true,
            // There are no rights to choose from, an application may do what its user may: so the person is shown who asks.
            "select_account" | "consent" => prompt.choose = true,
            _ => {
                let why = "the parameter `prompt` must be `none`, or some of `login`, `select_account` and `consent`";
                return Err(AuthorizeRefusal::Malformed(why.to_owned()));
            }
        }
    }
    Ok(prompt)
}

/// A name as it may stand in a message.
fn shown(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn read(more: &[(&str, &str)], needs_challenge: bool) -> Result<Asking, AuthorizeRefusal> {
        let base = [("response_type", "code"), ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        let kept = base.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let all = kept.chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Asking::read(&AuthorizeRequest::new(all.collect()), needs_challenge)
    }

    #[test]
    fn a_challenge_is_s256_and_not_left_out() {
        assert!(read(&[], true).is_ok());
        assert!(read(&[("code_challenge", ""), ("code_challenge_method", "")], false).is_ok());
        let bad: [&[(&str, &str)]; 5] = [
            &[("code_challenge_method", "plain")],
            &[("code_challenge_method", "")],
            &[("code_challenge_method", "s256")],
            &[("code_challenge", "")],
            &[("code_challenge", "short")],
        ];
        for case in bad {
            for needs_challenge in [true, false] {
                assert!(matches!(read(case, needs_challenge), Err(AuthorizeRefusal::Malformed(_))), "{case:?}");
            }
        }
        assert!(read(&[("code_challenge", ""), ("code_challenge_method", "")], true).is_err());
    }

    #[test]
    fn what_is_not_offered_has_its_own_word() {
        for kind in ["token", "id_token", "code id_token", "none", "code "] {
            assert_eq!(read(&[("response_type", kind)], true).err(), Some(AuthorizeRefusal::ResponseType), "{kind}");
        }
        assert_eq!(read(&[("request", "x")], true).err(), Some(AuthorizeRefusal::RequestObject));
        assert_eq!(read(&[("request_uri", "x")], true).err(), Some(AuthorizeRefusal::RequestUri));
        for (name, value) in [
            ("response_type", ""),
            ("response_mode", "web_message"),
            ("prompt", "none login"),
            ("prompt", "evil"),
            ("max_age", "-1"),
            ("max_age", "x"),
            ("claims", "{"),
        ] {
            assert!(matches!(read(&[(name, value)], true), Err(AuthorizeRefusal::Malformed(_))), "{name}={value}");
        }
        assert!(read(&[("state", "a"), ("state", "a")], true).is_err());
        assert!(read(&[("state", &"a".repeat(5000))], true).is_err());
        let prompt = read(&[("prompt", "consent login"), ("max_age", "0")], true).unwrap().prompt;
        assert!(prompt.again && prompt.choose && !prompt.none);
    }

    #[test]
    fn a_refused_implicit_request_is_answered_in_the_fragment() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            AuthorizeRequest::new(pairs.collect()).mode()
        };
        assert_eq!(of(&[("response_type", "id_token token")]), Some(ResponseMode::Fragment));
        assert_eq!(of(&[("response_type", "code")]), Some(ResponseMode::Query));
        assert_eq!(of(&[("response_mode", "form_post")]), Some(ResponseMode::FormPost));
        assert_eq!(of(&[("response_mode", "query"), ("response_mode", "fragment")]), None);
    }
}
