//! What the pages say, in the languages they say it in. A text that a language lacks does not compile into a page: texts are
//! fields, and each file must have them all.

use std::{fmt, sync::LazyLock};

use serde::Deserialize;

/// A language of the pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Language {
    English,
    Japanese,
    Portuguese,
}

/// No browser says more languages than this; the rest of the header is not read.
const MOST_WISHES: usize = 32;

impl Language {
    const ALL: [Self; 3] = [Self::English, Self::Japanese, Self::Portuguese];

    /// The tag (BCP 47), as `lang` and `Content-Language` have it.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
            Self::Portuguese => "pt",
        }
    }

    /// The language of ours that a browser likes best (`Accept-Language`, RFC 9110 §12.5.4); English when it names none.
    pub(super) fn of(accept_language: Option<&str>) -> Self {
        let mut best = (0.0, Self::English);
        for wish in accept_language.unwrap_or_default().split(',').take(MOST_WISHES) {
            let (range, weight) = wish.split_once(';').unwrap_or((wish, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            let Some(weight) = weight.filter(|weight| (0.0..=1.0).contains(weight)) else { continue };
            let primary = range.trim().split('-').next().unwrap_or_default();
            let known = Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary));
            match known {
                Some(language) if weight > best.0 => best = (weight, language),
                _ => {}
            }
        }
        best.1
    }

    /// The texts.
    pub(super) fn messages(self) -> &'static Messages {
        match self {
            Self::English => &ENGLISH,
            Self::Japanese => &JAPANESE,
            Self::Portuguese => &PORTUGUESE,
        }
    }
}

static ENGLISH: LazyLock<Messages> = LazyLock::new(|| read(include_str!("../../../messages/en.json")));
static JAPANESE: LazyLock<Messages> = LazyLock::new(|| read(include_str!("../../../messages/ja.json")));
static PORTUGUESE: LazyLock<Messages> = LazyLock::new(|| read(include_str!("../../../messages/pt.json")));

/// The files are part of the program; a test reads each, so that this cannot fail in a server.
fn read(file: &str) -> Messages {
    serde_json::from_str(file).unwrap_or_default()
}

/// A text, possibly with places to fill: `{user}`.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Text(String);

impl Text {
    /// The text with a place filled. The value is shown as it is: templates escape what comes of it.
    pub(super) fn fill(&self, place: &str, value: impl fmt::Display) -> String {
        self.0.replace(&format!("{{{place}}}"), &value.to_string())
    }

    /// The text with two places filled, in one pass: a value that looks like a place stays a value.
    pub(super) fn fill_both(&self, first: (&str, &str), second: (&str, &str)) -> String {
        let place = format!("{{{}}}", first.0);
        let other = format!("{{{}}}", second.0);
        let parts = self.0.split(&place).map(|part| part.replace(&other, second.1));
        parts.collect::<Vec<_>>().join(first.1)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// All texts. `messages/en.json` shows what each says.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Messages {
    pub(super) brand: Text,
    pub(super) error_prefix: Text,
    pub(super) go_on: Text,
    pub(super) cancel: Text,
    pub(super) signed_in_as: Text,
    pub(super) skip: Text,
    pub(super) sign_in_title: Text,
    pub(super) sign_in_heading: Text,
    pub(super) sign_in_for: Text,
    pub(super) user_name: Text,
    pub(super) password: Text,
    pub(super) sign_in: Text,
    pub(super) other_ways: Text,
    pub(super) sign_in_with: Text,
    pub(super) forgotten: Text,
    pub(super) go_on_as: Text,
    pub(super) someone_else: Text,
    pub(super) passkey_sign_in: Text,
    pub(super) passkey_use: Text,
    pub(super) passkey_waiting: Text,
    pub(super) passkey_failed: Text,
    pub(super) passkey_unreachable: Text,
    pub(super) passkey_needs_script: Text,
    pub(super) second_title: Text,
    pub(super) second_intro: Text,
    pub(super) totp_code: Text,
    pub(super) totp_hint: Text,
    pub(super) check_code: Text,
    pub(super) recovery_code: Text,
    pub(super) recovery_hint: Text,
    pub(super) recovery_use: Text,
    pub(super) no_method: Text,
    pub(super) enrol_title: Text,
    pub(super) enrol_demanded: Text,
    pub(super) enrol_intro: Text,
    pub(super) enrol_passkey: Text,
    pub(super) enrol_passkey_text: Text,
    pub(super) enrol_passkey_name: Text,
    pub(super) enrol_passkey_name_hint: Text,
    pub(super) enrol_passkey_add: Text,
    pub(super) enrol_totp: Text,
    pub(super) enrol_totp_text: Text,
    pub(super) enrol_totp_begin: Text,
    pub(super) totp_title: Text,
    pub(super) totp_scan: Text,
    pub(super) totp_image: Text,
    pub(super) totp_type: Text,
    pub(super) totp_confirm: Text,
    pub(super) codes_title: Text,
    pub(super) codes_intro: Text,
    pub(super) codes_once: Text,
    pub(super) codes_download: Text,
    pub(super) codes_kept: Text,
    pub(super) change_title: Text,
    pub(super) change_demanded: Text,
    pub(super) change_old: Text,
    pub(super) change_new: Text,
    pub(super) change_again: Text,
    pub(super) change_hint: Text,
    pub(super) change: Text,
    pub(super) changed: Text,
    pub(super) security_title: Text,
    pub(super) done_totp_added: Text,
    pub(super) done_passkey_added: Text,
    pub(super) done_removed: Text,
    pub(super) done_session_ended: Text,
    pub(super) section_password: Text,
    pub(super) section_passkeys: Text,
    pub(super) section_totp: Text,
    pub(super) section_codes: Text,
    pub(super) section_sessions: Text,
    pub(super) none_yet: Text,
    pub(super) added_on: Text,
    pub(super) remove: Text,
    pub(super) remove_passkey: Text,
    pub(super) totp_on: Text,
    pub(super) totp_off: Text,
    pub(super) totp_remove: Text,
    pub(super) codes_left: Text,
    pub(super) codes_new: Text,
    pub(super) codes_new_hint: Text,
    pub(super) session_this: Text,
    pub(super) session_line: Text,
    pub(super) session_end: Text,
    pub(super) session_end_named: Text,
    pub(super) unknown_address: Text,
    pub(super) unknown_agent: Text,
    pub(super) sign_out_title: Text,
    pub(super) sign_out_ask: Text,
    pub(super) sign_out: Text,
    pub(super) signed_out_title: Text,
    pub(super) signed_out_text: Text,
    pub(super) sign_in_again: Text,
    pub(super) device_title: Text,
    pub(super) device_code: Text,
    pub(super) device_hint: Text,
    pub(super) device_next: Text,
    pub(super) device_confirm_title: Text,
    pub(super) device_application: Text,
    pub(super) device_from: Text,
    pub(super) device_asks: Text,
    pub(super) device_asks_identity: Text,
    pub(super) device_asks_stay: Text,
    pub(super) device_asks_act: Text,
    pub(super) device_as: Text,
    pub(super) device_warning: Text,
    pub(super) device_approve: Text,
    pub(super) device_deny: Text,
    pub(super) device_approved_title: Text,
    pub(super) device_approved: Text,
    pub(super) device_denied_title: Text,
    pub(super) device_denied: Text,
    pub(super) continue_title: Text,
    pub(super) continue_text: Text,
    pub(super) continue_here: Text,
    pub(super) problem_bad_credentials: Text,
    pub(super) problem_bad_code: Text,
    pub(super) problem_bad_recovery_code: Text,
    pub(super) problem_throttled: Text,
    pub(super) problem_expired: Text,
    pub(super) problem_bad_passkey: Text,
    pub(super) problem_not_possible: Text,
    pub(super) problem_needs_proof: Text,
    pub(super) problem_passwords_differ: Text,
    pub(super) problem_bad_old_password: Text,
    pub(super) problem_device_code: Text,
    pub(super) password_too_short: Text,
    pub(super) password_too_long: Text,
    pub(super) password_too_easy: Text,
    pub(super) password_unchanged: Text,
    pub(super) error_title: Text,
    pub(super) error_request: Text,
    pub(super) error_request_do: Text,
    pub(super) error_form: Text,
    pub(super) error_form_do: Text,
    pub(super) error_missing: Text,
    pub(super) error_missing_do: Text,
    pub(super) error_busy: Text,
    pub(super) error_busy_do: Text,
    pub(super) error_internal: Text,
    pub(super) error_internal_do: Text,
    pub(super) error_number: Text,
    pub(super) error_application: Text,
    pub(super) error_application_do: Text,
    pub(super) error_detail: Text,
    pub(super) provider_missing: Text,
    pub(super) provider_missing_do: Text,
    pub(super) provider_expired: Text,
    pub(super) provider_expired_do: Text,
    pub(super) provider_declined: Text,
    pub(super) provider_declined_do: Text,
    pub(super) provider_away: Text,
    pub(super) provider_away_do: Text,
    pub(super) provider_unbelievable: Text,
    pub(super) provider_unbelievable_do: Text,
    pub(super) provider_not_again: Text,
    pub(super) provider_not_again_do: Text,
    pub(super) provider_not_invited: Text,
    pub(super) provider_not_invited_do: Text,
    pub(super) provider_disabled: Text,
    pub(super) provider_disabled_do: Text,
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const FILES: [(&str, &str); 3] = [
        ("en", include_str!("../../../messages/en.json")),
        ("ja", include_str!("../../../messages/ja.json")),
        ("pt", include_str!("../../../messages/pt.json")),
    ];

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
    }

    #[test]
    fn every_language_says_everything_and_fills_the_same_places() {
        let english: BTreeMap<String, String> = serde_json::from_str(FILES[0].1).unwrap();
        for (tag, file) in FILES {
            serde_json::from_str::<Messages>(file).unwrap_or_else(|fault| panic!("{tag}: {fault}"));
            let texts: BTreeMap<String, String> = serde_json::from_str(file).unwrap();
            for (key, text) in &texts {
                assert_eq!(places(text), places(&english[key]), "{tag}: {key}");
                assert!(!text.trim().is_empty(), "{tag}: {key} is empty");
                let is_name = ["brand"].contains(&key.as_str());
                assert!(tag == "en" || is_name || *text != english[key], "{tag}: {key} is not translated");
            }
        }
    }

    #[test]
    fn the_browser_s_wish_decides_the_language() {
        let cases = [
            (None, "en"),
            (Some(""), "en"),
            (Some("ja"), "ja"),
            (Some("ja-JP,en;q=0.8"), "ja"),
            (Some("pt-BR,pt;q=0.9,en;q=0.8"), "pt"),
            (Some("PT-br"), "pt"),
            (Some("fr-FR, fr;q=0.9, ja;q=0.5, en;q=0.4"), "ja"),
            (Some("en;q=0.2, pt;q=0.3"), "pt"),
            (Some("ja;q=0, pt;q=0.1"), "pt"),
            (Some("ja;q=0"), "en"),
            (Some("de, *;q=0.5"), "en"),
            (Some("ja;q=NaN, pt;q=7"), "en"),
            (Some("japanese"), "en"),
            (Some(";;;,,,q=1"), "en"),
        ];
        for (wish, tag) in cases {
            assert_eq!(Language::of(wish).tag(), tag, "{wish:?}");
        }
    }

    #[test]
    fn a_value_cannot_fill_another_place() {
        let text = Text(String::from("since {date}, from {address}"));
        assert_eq!(text.fill_both(("date", "{address}"), ("address", "{date}")), "since {address}, from {date}");
    }
}
