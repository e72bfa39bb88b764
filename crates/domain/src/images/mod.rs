//! The images room: registered models as resources, and images built from them without a daemon.
//!
//! An image is an OCI image whose layers are plain tar archives, lowest first: the model's files, the code around them,
//! the requirements of its environment. **Invariant:** the same inputs give the same digest, whoever builds, whenever and
//! in whatever order they are named. **Invariant:** a model is carried, never parsed. Layers are made as streams from sealed
//! blobs into sealed blobs; no file is held in memory.

mod build;
mod document;
mod image;
mod layer;
mod model;
mod name;
mod read;
mod registry;

pub(crate) use build::{Built, Recipe, build, require_build};
pub use build::{Code, PackageModel};
pub use image::{Engine, Image, ImageLayer, ImageRef, Which};
pub(crate) use image::{newest_of_model, resolve};
pub(crate) use model::parse_version;
pub use model::{
    GetModel, GetModelVersion, ListModelVersions, ListModels, ModelContainer, PutModelVersion, VersionedModel,
};
pub use read::{GetImage, ListImageVersions, ListImages, ReadImage, ReadPart};
