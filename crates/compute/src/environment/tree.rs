//! The files of an environment: laid out, taken back from the jail's user, sealed, swept.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, lchown, symlink},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    build::Prepared,
    interpreter::{Interpreter, replace},
};
use crate::{jail::Owner, process, scratch::hand_over};

/// Says that an environment is complete, and whose it is.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    address: String,
    interpreter: Interpreter,
}

/// Whether the environment is there, whole.
pub fn is_complete(prepared: &Prepared) -> bool {
    let Ok(text) = fs::read(prepared.place.join("manifest.json")) else { return false };
    serde_json::from_slice::<Manifest>(&text).is_ok_and(|manifest| manifest.address == prepared.address)
}

/// An empty virtual environment.
pub fn lay_out(building: &Path, tree: &Path, interpreter: &Interpreter) -> io::Result<()> {
    private_directory(building)?;
    let packages = tree.join(format!("lib/python{}/site-packages", interpreter.short));
    fs::create_dir_all(packages)?;
    fs::create_dir_all(tree.join("bin"))?;
    fs::create_dir_all(building.join("tmp"))?;
    symlink("lib", tree.join("lib64"))?;
    symlink(&interpreter.executable, tree.join("bin/python"))?;
    symlink("python", tree.join("bin/python3"))?;
    symlink("python", tree.join(format!("bin/python{}", interpreter.short)))?;
    let home = interpreter.executable.parent().unwrap_or(Path::new("/usr/bin"));
    fs::write(
        tree.join("pyvenv.cfg"),
        format!("home = {}\ninclude-system-site-packages = false\nversion = {}\n", home.display(), interpreter.version),
    )
}

/// Takes the tree back from the jail's user, makes it read-only, and writes down that it is complete.
pub fn seal(tree: &Path, prepared: &Prepared) -> io::Result<()> {
    let manifest = Manifest { address: prepared.address.clone(), interpreter: prepared.interpreter.clone() };
    take_back(tree)?;
    fs::set_permissions(tree, fs::Permissions::from_mode(0o755))?;
    replace(&tree.join("manifest.json"), &serde_json::to_vec(&manifest)?)?;
    // On the disk before it has its name: what has the name is complete, also after a power cut.
    nix::unistd::syncfs(fs::File::open(tree)?)?;
    fs::set_permissions(tree, fs::Permissions::from_mode(0o555))
}

/// The jail is gone, so nothing moves here any more; links are still not followed.
fn take_back(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    let us = (nix::unistd::Uid::effective().as_raw(), nix::unistd::Gid::effective().as_raw());
    lchown(path, Some(us.0), Some(us.1))?;
    if found.is_symlink() {
        return Ok(());
    }
    if found.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(path)? {
            take_back(&entry?.path())?;
        }
        return fs::set_permissions(path, fs::Permissions::from_mode(0o555));
    }
    if !found.is_file() {
        return fs::remove_file(path);
    }
    let executable = found.permissions().mode() & 0o111 != 0;
    fs::set_permissions(path, fs::Permissions::from_mode(if executable { 0o555 } else { 0o444 }))
}

/// Gives a tree to the jail's user.
pub fn give_tree(path: &Path, owner: Owner) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Ok(());
    }
    hand_over(path, owner).map_err(io::Error::other)?;
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            give_tree(&entry?.path(), owner)?;
        }
    }
    Ok(())
}

/// Makes a directory that is closed to others.
pub fn private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes what builders left that are gone.
pub fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(builder) = name.to_str().and_then(|name| name.strip_prefix(".building-")) else { continue };
        if let Some((pid, start)) = builder.split_once('-')
            && !process::is_alive(pid, start)
        {
            let _again = fs::remove_dir_all(entry.path());
        }
    }
}
