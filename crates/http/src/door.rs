//! The list of all doors: every route is opened for one operation, whose action is its permission. There is no second list.

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, on},
};
use domain::gate::{Guard, Op};
use http::Method;
use kernel::Action;

use crate::App;

/// One route: method, path, and the action of the operation behind it.
#[derive(Clone, Debug)]
pub struct Door {
    /// The method.
    pub method: Method,
    /// The path, with `{parameters}`.
    pub path: String,
    /// What entering needs.
    pub action: Action,
    /// What of it takes approvals where a rule says so.
    pub guards: &'static [Guard],
}

/// Collects routes. A handler cannot be added without naming its operation.
#[derive(Default)]
pub struct Doors {
    router: Router<App>,
    list: Vec<Door>,
}

impl Doors {
    /// Opens a route for operation `O`.
    #[must_use]
    pub fn open<O: Op, H, T>(mut self, method: Method, path: &str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        // HEAD comes with GET; every other method is spelled out. A method axum cannot filter opens nothing.
        if let Ok(filter) = MethodFilter::try_from(method.clone()) {
            self.router = self.router.route(path, on(filter, handler));
            self.list.push(Door { method, path: path.to_owned(), action: O::ACTION, guards: O::GUARDS });
        }
        self
    }

    /// Names another operation behind a route that is open: `which` is what of the query tells it apart. The route's handler chooses.
    #[must_use]
    pub fn beside<O: Op>(mut self, method: Method, path: &str, which: &str) -> Self {
        let path = if which.is_empty() { path.to_owned() } else { format!("{path}?{which}") };
        self.list.push(Door { method, path, action: O::ACTION, guards: O::GUARDS });
        self
    }

    /// Adds a face's routes.
    #[must_use]
    pub fn face(self, open: impl FnOnce(Self) -> Self) -> Self {
        open(self)
    }

    /// Every route, in the order it was opened.
    pub fn list(&self) -> &[Door] {
        &self.list
    }

    pub(crate) fn into_router(self) -> Router<App> {
        self.router
    }
}
