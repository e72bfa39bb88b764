//! The bill of materials of an image, in CycloneDX 1.6: the model and its files, the packages that its requirements name, its code.

use kernel::{Error, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{images::Image, tracking::ModelFiles};

/// The document. `time` is RFC 3339.
pub(super) fn document(image: &Image, files: &ModelFiles, time: &str) -> Result<String> {
    let mut components = vec![model(image, files)];
    for (at, layer) in image.layers.iter().enumerate().skip(1) {
        components.push(json!({
            "type": "file",
            "bom-ref": format!("layer-{at}"),
            "name": layer.about,
            "hashes": hashes(layer.digest.strip_prefix("sha256:").unwrap_or_default()),
        }));
    }
    let packages = image.requirements.lines().filter_map(package);
    components.extend(packages.enumerate().map(|(at, mut package)| {
        if let Some(fields) = package.as_object_mut() {
            fields.insert(String::from("bom-ref"), json!(format!("package-{at}")));
        }
        package
    }));
    let hex = image.digest.strip_prefix("sha256:").unwrap_or_default();
    let bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", Uuid::new_v4()),
        "version": 1,
        "metadata": {
            "timestamp": time,
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": image.name,
                "version": image.digest,
                "hashes": hashes(hex),
                // Layers hold no operating system; the interpreter is the target's.
                "properties": [{"name": "bartizan:base", "value": "scratch"}],
            },
        },
        "components": components,
    });
    serde_json::to_string(&bill).map_err(|why| Error::internal("a bill of materials could not be written").because(why))
}

fn hashes(hex: &str) -> Value {
    // What was joined from parts has no hash of its own bytes.
    if hex.len() == 64 { json!([{"alg": "SHA-256", "content": hex}]) } else { json!([]) }
}

fn model(image: &Image, files: &ModelFiles) -> Value {
    let file = |(at, (path, blob)): (usize, &(String, crate::gate::BlobRef))| {
        json!({
            "type": "file",
            "bom-ref": format!("model-file-{at}"),
            "name": path,
            "hashes": hashes(&blob.sha256),
        })
    };
    json!({
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": image.model,
        "version": image.model_version.to_string(),
        "components": files.files.iter().enumerate().map(file).collect::<Vec<_>>(),
    })
}

/// A line of a requirements file as a component; none for options, comments and what is no name (PEP 508).
fn package(line: &str) -> Option<Value> {
    let line = line.split(" #").next().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end)?;
    if name.is_empty() || name.starts_with(['-', '.', '#']) {
        return None;
    }
    // Names that differ in case and separators are one (PEP 503).
    let mut plain = String::new();
    for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        if !plain.is_empty() {
            plain.push('-');
        }
        plain.push_str(&part.to_ascii_lowercase());
    }
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest).trim_start(),
        None => rest,
    };
    let pinned = rest.strip_prefix("==").map(|version| version.trim_start_matches('=').trim());
    let pinned = pinned.and_then(|version| version.split([' ', '\\']).next());
    let pinned = pinned.filter(|version| !version.is_empty() && !version.contains(['*', ',']));
    Some(match pinned {
        Some(version) => json!({
            "type": "library",
            "name": plain,
            "version": version,
            "purl": format!("pkg:pypi/{plain}@{}", version.replace('+', "%2B").replace('!', "%21")),
        }),
        None => json!({
            "type": "library",
            "name": plain,
            "purl": format!("pkg:pypi/{plain}"),
            "properties": [{"name": "bartizan:asked", "value": rest}],
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_requirements() {
        let read = |line: &str| package(line).map(|found| found["purl"].as_str().unwrap().to_owned());
        for (line, purl) in [
            ("onnxruntime==1.31.1", "pkg:pypi/onnxruntime@1.31.1"),
            ("Scikit_Learn == 1.5.0  # why", "pkg:pypi/scikit-learn@1.5.0"),
            ("uvicorn[standard]==0.30; python_version > '3.8'", "pkg:pypi/uvicorn@0.30"),
            ("torch===2.4.0+cpu", "pkg:pypi/torch@2.4.0%2Bcpu"),
            ("numpy", "pkg:pypi/numpy"),
            ("numpy==1.*", "pkg:pypi/numpy"),
            ("numpy>=1,<2", "pkg:pypi/numpy"),
            ("a==1 \\", "pkg:pypi/a@1"),
        ] {
            assert_eq!(read(line).as_deref(), Some(purl), "{line}");
        }
        for none in ["", "  ", "# numpy", "--hash=sha256:00", "-r other.txt", "./local"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
