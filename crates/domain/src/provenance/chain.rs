//! The chain snapshot → run → model → image → service, looked at link by link.

use kernel::{Error, Kind, Result};
use seal::StatementKey;

use super::{
    image::{self, ImageStatement, model_in},
    keys, model,
    statement::{OF_IMAGE, OF_MODEL, Statement, word},
};
use crate::{
    compute::{self, Launch, Work, snapshot_of_run},
    gate::{Admission, Shelf},
    images::{Engine, Image, ImageRef, Which, resolve},
    snapshots::is_snapshot_whole,
};

/// What an image rests on, the first cause first.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its links: `snapshot`, `run`, `model`, `image`.
    pub links: Vec<Link>,
}

/// A link of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// `snapshot`, `run`, `model`, `image`.
    pub of: &'static str,
    /// Its name.
    pub name: String,
    /// `algorithm:hex`, where it has one.
    pub digest: Option<String>,
    /// Id of the key that signed it.
    pub key: Option<String>,
    /// Who asked for what was signed.
    pub by: Option<String>,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// How it is.
    pub state: LinkState,
}

/// How a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It is what was signed.
    Sound,
    /// There is nothing to look at, and why: what follows stands on what was signed then.
    Absent(&'static str),
    /// It is not what was signed, and in what.
    Broken(&'static str),
}

impl Link {
    fn new(of: &'static str, name: impl Into<String>, state: LinkState) -> Self {
        Self { of, name: name.into(), digest: None, key: None, by: None, at: None, state }
    }

    fn with(mut self, statement: &Statement, key: String) -> Self {
        self.digest = statement.about().and_then(word);
        self.key = Some(key);
        self.by = Some(statement.found("by").to_owned());
        self.at = Some(statement.predicate.run_details.metadata.finished_on.clone());
        self
    }
}

impl Chain {
    /// The first link that is broken, and why.
    pub fn broken(&self) -> Option<(&Link, &'static str)> {
        self.links.iter().find_map(|link| match link.state {
            LinkState::Broken(why) => Some((link, why)),
            LinkState::Sound | LinkState::Absent(_) => None,
        })
    }

    /// The fault that says which link is broken.
    fn fault(&self) -> Option<Error> {
        self.broken().map(|(link, why)| broken(link.of, &link.name, why))
    }
}

fn broken(of: &str, name: &str, why: &str) -> Error {
    Error::new(Kind::Conflict, format!("the chain is broken at the {of} `{name}`: {why}")).coded("ChainBroken")
}

/// Looks at everything that an image rests on.
///
/// # Errors
/// What reading brings; a broken link is no error here.
pub(crate) async fn chain_of(cx: &Admission<'_>, shelf: &Shelf, image: &Image) -> Result<Chain> {
    let keys: Vec<StatementKey> = keys::all(cx, shelf).await?.into_iter().map(|(key, _)| key).collect();
    let name = format!("{}:{}", image.name, image.number);
    let only = |why| Ok(Chain { links: vec![Link::new("image", name.clone(), LinkState::Broken(why))] });
    let id = image::row_id(shelf, &image.name, &image.digest);
    let Some(kept) = cx.get::<ImageStatement>(shelf, &id).await?.map(|row| row.value) else {
        return only("it has no statement; build it again from its model, which signs it");
    };
    let Some((statement, key)) = Statement::open(&keys, &kept.envelope, OF_IMAGE) else {
        return only("its statement is not signed by a key of the workspace");
    };
    let state = image::differs(&statement, image).map_or(LinkState::Sound, LinkState::Broken);
    let last = Link::new("image", name, state).with(&statement, key);
    let mut links = below(cx, shelf, &keys, &kept.model, &statement).await?;
    links.push(last);
    Ok(Chain { links })
}

/// Snapshot, run and model of an image's statement.
async fn below(
    cx: &Admission<'_>,
    shelf: &Shelf,
    keys: &[StatementKey],
    envelope: &str,
    image: &Statement,
) -> Result<Vec<Link>> {
    let name = format!("{}:{}", image.said("model"), image.said("version"));
    let Some((statement, key)) = Statement::open(keys, envelope, OF_MODEL) else {
        let why = "its statement is not signed by a key of the workspace";
        return Ok(vec![Link::new("model", name, LinkState::Broken(why))]);
    };
    let mut links = causes(cx, shelf, &statement).await?;
    let version = image.said("version").parse().unwrap_or_default();
    let state = if statement.about() != Some(model_in(image)?) || statement.said("version") != image.said("version") {
        LinkState::Broken("its files are not those that the image was built from")
    } else {
        match model::present(cx, shelf, image.said("model"), version).await? {
            Some(files) if files.id.to_string() == statement.found("modelId") => {
                model::differs(&statement, &files).map_or(LinkState::Sound, LinkState::Broken)
            }
            Some(_) | None => LinkState::Absent("deleted since; the image holds the files that were signed"),
        }
    };
    links.push(Link::new("model", name, state).with(&statement, key));
    Ok(links)
}

/// Snapshot and run of a model's statement.
async fn causes(cx: &Admission<'_>, shelf: &Shelf, model: &Statement) -> Result<Vec<Link>> {
    let named = |name: &str, prefix: &str| {
        let uri = model.material(name).and_then(|material| material.uri.as_deref());
        uri.and_then(|uri| uri.strip_prefix(prefix)).map(str::to_owned)
    };
    let Some(run) = named("run", "runs:/") else {
        return Ok(vec![Link::new(
            "run",
            "",
            LinkState::Absent("the model was registered from files, not from a run"),
        )]);
    };
    let present = match run.parse() {
        Ok(run) => snapshot_of_run(cx, shelf, &run).await?,
        Err(_) => None,
    };
    let Some(snapshot) = named("snapshot", "urn:bartizan:snapshot:") else {
        let state = match present {
            Some(_) => LinkState::Broken("it names a snapshot, and none was signed"),
            None => LinkState::Absent("it was logged from elsewhere, or had no files"),
        };
        return Ok(vec![Link::new("run", run, state)]);
    };
    let state = match is_snapshot_whole(cx, shelf, &snapshot).await? {
        Some(true) => LinkState::Sound,
        Some(false) => LinkState::Broken("its files are not those of its id"),
        None => LinkState::Absent("deleted since"),
    };
    let mut first = Link::new("snapshot", snapshot.clone(), state);
    first.digest = Some(format!("bartizanTree:{snapshot}"));
    let state = match present {
        Some(present) if present == snapshot => LinkState::Sound,
        Some(_) => LinkState::Broken("it names another snapshot than the one that was signed"),
        None => LinkState::Absent("deleted since"),
    };
    Ok(vec![first, Link::new("run", run, state)])
}

/// Refuses an image that is not what was signed.
///
/// # Errors
/// `Conflict` that names the broken link.
pub(crate) async fn require_chain(cx: &Admission<'_>, shelf: &Shelf, image: &Image) -> Result<()> {
    match chain_of(cx, shelf, image).await?.fault() {
        Some(fault) => {
            tracing::error!(image = %image.name, digest = %image.digest, why = %fault.public(), "a chain is broken");
            cx.note("broken", fault.public());
            Err(fault)
        }
        None => Ok(()),
    }
}

/// Refuses the launch of a replica that is not what was signed. A job has no image.
///
/// # Errors
/// `Conflict` that names the broken link.
pub(crate) async fn require_service(cx: &Admission<'_>, shelf: &Shelf, launch: &Launch) -> Result<()> {
    let Work::Service { layers, engine, image } = &launch.work else { return Ok(()) };
    let fault = |why: &str| {
        tracing::error!(launch = %launch.run, why, "a chain is broken at a service");
        cx.note("broken", why);
        broken("service", launch.run.as_str(), why)
    };
    let Some((name, digest)) = image else {
        return Err(fault("it was asked for before images were signed; deploy again"));
    };
    let which = ImageRef { name: name.clone(), which: Which::Digest(digest.clone()) };
    let image = match resolve(cx, shelf, &which).await {
        Err(gone) if gone.kind() == Kind::NotFound => return Err(fault("its image is gone")),
        found => found?,
    };
    require_chain(cx, shelf, &image).await?;
    if !layers.iter().map(|layer| &layer.digest).eq(image.layers.iter().map(|layer| &layer.digest)) {
        return Err(fault("its layers are not those of its image"));
    }
    let is_engine = match (engine, &image.engine) {
        (compute::Engine::Onnx { model }, Engine::Onnx { model: signed }) => model == signed,
        (compute::Engine::Python { entry, model_dir }, Engine::Python { entry: signed, model_dir: dir }) => {
            entry == signed && model_dir == dir
        }
        _ => false,
    };
    if !is_engine {
        return Err(fault("it is started in another way than its image"));
    }
    if launch.requirements.as_deref().unwrap_or_default() != image.requirements {
        return Err(fault("its requirements are not those of its image"));
    }
    Ok(())
}

/// Refuses a layer that an image's statement does not name.
///
/// # Errors
/// `Conflict` that names the image.
pub(crate) async fn require_layer(
    cx: &Admission<'_>,
    shelf: &Shelf,
    (name, digest): (&str, &str),
    layer: &str,
) -> Result<()> {
    let keys = keys::all(cx, shelf).await?;
    let kept = cx.get::<ImageStatement>(shelf, &image::row_id(shelf, name, digest)).await?;
    let statement =
        kept.and_then(|row| Statement::open(keys.iter().map(|(key, _)| key), &row.value.envelope, OF_IMAGE));
    let is_named = statement.is_some_and(|(statement, _)| {
        let about = statement.about().and_then(word);
        about.as_deref() == Some(digest) && statement.found("layers").split(' ').any(|named| named == layer)
    });
    if is_named { Ok(()) } else { Err(broken("image", name, "a layer is not one of those that were signed")) }
}
