//! Names that tell who works here. Ids and names leave the workspace sooner than what they name: in addresses, in lists, in exports
//! of the log.

use kernel::{Error, PrincipalId, PrincipalKind, Result, Who};

use crate::gate::Admission;

/// Shorter names of people are in too many words.
const SHORTEST: usize = 3;
/// From here on a name counts within a word too.
const TELLING: usize = 6;

/// Warns of names that hold the caller's own sign-in name or display name, or refuses them where the impact is high. `given` are
/// fields, and what they say. For a run's code it is the name of whoever submitted the job.
///
/// # Errors
/// `Invalid`, naming the field.
pub(crate) fn admit_names(cx: &Admission<'_>, is_raised: bool, given: &[(&str, &str)]) -> Result<Vec<String>> {
    let names = names_of_caller(cx);
    let telling = given.iter().filter(|(_, said)| is_telling(said, &names)).map(|(field, _)| *field);
    let fields: Vec<&str> = telling.collect();
    let Some(first) = fields.first() else { return Ok(Vec::new()) };
    cx.note("namesPerson", fields.join(", "));
    if is_raised {
        let why = "holds your own name; with high business impact no name may tell who works here: choose another";
        return Err(Error::invalid(*first, why));
    }
    let told =
        |field: &&str| format!("`{field}` holds your own name, and names are seen more widely than what they name");
    Ok(fields.iter().map(told).collect())
}

/// Whether a text holds the name of the caller.
pub(crate) fn names_somebody(cx: &Admission<'_>, text: &str) -> bool {
    is_telling(text, &names_of_caller(cx))
}

/// The names of the person who asks, or on whose behalf a run does. Programs have no name that tells of a person.
fn names_of_caller(cx: &Admission<'_>) -> Vec<String> {
    let identity = &cx.house().identity;
    let of = |id: PrincipalId| identity.name_of(id).filter(|_| identity.kind_of(id) == Some(PrincipalKind::User));
    match &cx.caller().who {
        Who::Principal(person) if person.kind == PrincipalKind::User => {
            of(person.id).into_iter().chain([person.name.clone()]).collect()
        }
        Who::Run(run) => of(run.on_behalf_of).into_iter().collect(),
        Who::Principal(_) | Who::Keyed(_) | Who::House | Who::Nobody => Vec::new(),
    }
}

/// Whether a text holds one of these names: of a sign-in name the part before the `@` counts. Case and what joins words do not.
fn is_telling(text: &str, names: &[String]) -> bool {
    let text = joined(text);
    names.iter().any(|name| {
        let name = joined(name.split('@').next().unwrap_or_default());
        let length = name.chars().count();
        if length < SHORTEST {
            return false;
        }
        text.match_indices(&name).any(|(at, _)| {
            let before = text.get(..at).and_then(|part| part.chars().next_back());
            let after = text.get(at.saturating_add(name.len())..).and_then(|part| part.chars().next());
            let is_whole = !before.is_some_and(char::is_alphabetic) && !after.is_some_and(char::is_alphabetic);
            is_whole || length >= TELLING
        })
    })
}

/// In lower case, and with one sign for all that joins words.
fn joined(text: &str) -> String {
    let one = |c: char| if matches!(c, ' ' | '.' | '_' | '-' | '+') { '-' } else { c };
    text.trim().chars().flat_map(char::to_lowercase).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_however_it_is_written_and_not_in_other_words() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let alice = names(&["alice.smith@corp.example", "Alice Smith"]);
        for text in ["alice.smith", "run-of-alice_smith-3", "ALICE SMITH", "xalice-smithx", "Alice-Smith's model"] {
            assert!(is_telling(text, &alice), "{text}");
        }
        for text in ["", "alice", "smith", "malice-in-smithy", "churn"] {
            assert!(!is_telling(text, &alice), "{text}");
        }
        // A short name is one among other signs only.
        let ann = names(&["ann@corp.example"]);
        for text in ["ann", "ann-1", "Ann2", "for_ANN", "x/ann/y"] {
            assert!(is_telling(text, &ann), "{text}");
        }
        for text in ["annual", "mann", "banner"] {
            assert!(!is_telling(text, &ann), "{text}");
        }
        assert!(!is_telling("jo", &names(&["jo"])), "too short to tell");
        assert!(is_telling("münchner-1", &names(&["Münchner"])));
        assert!(!is_telling("anything", &names(&["", "@corp.example"])));
    }
}
