//! What can go wrong, in the words of the domain. Only faces know status codes.

use std::{fmt, num::NonZeroU32};

/// The closed list of ways an operation can fail. A new kind breaks every face at compile time: that is the feature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Nobody, or a credential that is wrong, expired or for someone else.
    Unauthenticated,
    /// Known caller, not permitted; the caller may know that the thing exists.
    Denied,
    /// Not there, or the caller may not know whether it is.
    NotFound,
    /// The name is taken.
    Exists,
    /// The request contradicts the present state (wrong state, in use).
    Conflict,
    /// A precondition on the version failed.
    Stale,
    /// Malformed or out of bounds; the message names the field.
    Invalid,
    /// More bytes, files or rows than allowed.
    TooLarge,
    /// Too much at once; try again later.
    Throttled,
    /// Understood and not offered.
    Unsupported,
    /// A part that is needed is away (key, store, target); nothing was changed.
    Unavailable,
    /// Our fault. The public message says nothing; the log says all.
    Internal,
}

/// An error with two audiences: `public` is one sentence that is safe to send, `source` is only logged.
pub struct Error {
    kind: Kind,
    public: String,
    target: Option<String>,
    code: Option<&'static str>,
    challenge: Option<String>,
    /// As small as this so that results stay small.
    wait: Option<NonZeroU32>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of anything a room does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind with a sentence for the caller.
    pub fn new(kind: Kind, public: impl Into<String>) -> Self {
        Self { kind, public: public.into(), target: None, code: None, challenge: None, wait: None, source: None }
    }

    /// The caller sent something malformed; `field` names it.
    pub fn invalid(field: impl Into<String>, why: impl fmt::Display) -> Self {
        let field = field.into();
        Self {
            kind: Kind::Invalid,
            public: format!("`{field}`: {why}"),
            target: Some(field),
            code: None,
            challenge: None,
            wait: None,
            source: None,
        }
    }

    /// There is no such thing, or the caller may not know.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("{what} was not found"))
    }

    /// Our own fault; `what` goes to the log, not to the caller.
    pub fn internal(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, "an internal error occurred").because(what)
    }

    /// Names the reason by a stable code, for faces whose protocol has one: `Forbidden`, `ApprovalRequired`.
    #[must_use]
    pub fn coded(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Adds the cause, for the log only.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says what a new sign-in has to show: a claims request (OpenID Connect Core §5.5), as JSON.
    #[must_use]
    pub fn challenging(mut self, claims: String) -> Self {
        self.challenge = Some(claims);
        self
    }

    /// Says in how many seconds it is worth trying again; one at least.
    #[must_use]
    pub fn wait(mut self, seconds: u64) -> Self {
        self.wait = NonZeroU32::new(u32::try_from(seconds).unwrap_or(u32::MAX).max(1));
        self
    }

    /// Names what it is about: a field, or a resource's id.
    #[must_use]
    pub fn about(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// One sentence, safe to send.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// What a new sign-in has to show, when that would help.
    pub fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// In how many seconds it is worth trying again, where that is known; never 0.
    pub fn waits(&self) -> Option<u64> {
        self.wait.map(|seconds| u64::from(seconds.get()))
    }

    /// The stable code of the reason, where the kind alone does not say enough.
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// The field at fault, when there is one.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.public)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.kind, self.public)?;
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            write!(out, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(cause) => Some(cause.as_ref()),
            None => None,
        }
    }
}
