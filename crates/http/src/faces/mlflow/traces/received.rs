//! What clients send of assessments.

use domain::tracking::{Assessment, AssessmentFault, AssessmentPatch, Expected, Verdict, text};
use kernel::{Error, Kind, Result};
use serde_json::Value;

use super::{Fields, time};

/// The kinds of sources that clients know.
const SOURCES: [&str; 4] = ["HUMAN", "LLM_JUDGE", "CODE", "SOURCE_TYPE_UNSPECIFIED"];

/// Reads an assessment. One without an id has an empty one.
pub(super) fn assessment(fields: &Fields) -> Result<Assessment> {
    let source = fields.object("source")?.unwrap_or_default();
    let word = source.text("source_type")?.unwrap_or_else(|| String::from("SOURCE_TYPE_UNSPECIFIED"));
    if !SOURCES.contains(&word.as_str()) {
        return Err(text::bad("source_type", &word, "it must be HUMAN, LLM_JUDGE or CODE"));
    }
    let created_at = time(fields, "create_time")?.ok_or_else(|| text::missing("create_time"))?;
    let words = "exactly one of `feedback`, `expectation` and `issue` must be given";
    Ok(Assessment {
        id: fields.text_or_empty("assessment_id")?,
        name: fields.need("assessment_name")?,
        source_type: word,
        source_id: source.text_or_empty("source_id")?,
        created_at,
        updated_at: time(fields, "last_update_time")?.unwrap_or(created_at),
        span: fields.text("span_id")?,
        rationale: fields.text("rationale")?,
        metadata: fields.map("metadata")?,
        overrides: fields.text("overrides")?.filter(|id| !id.is_empty()),
        is_valid: fields.flag("valid")? || !fields.has("valid"),
        verdict: verdict(fields)?.ok_or_else(|| Error::new(Kind::Invalid, words))?,
        created_by_run: None,
    })
}

fn verdict(fields: &Fields) -> Result<Option<Verdict>> {
    let (feedback, expectation) = (fields.object("feedback")?, fields.object("expectation")?);
    match (feedback, expectation, fields.object("issue")?) {
        (Some(feedback), None, None) => Ok(Some(self::feedback(&feedback, fields)?)),
        (None, Some(expectation), None) => Ok(Some(Verdict::Expectation(expected(&expectation)?))),
        (None, None, Some(issue)) => Ok(Some(Verdict::Issue(issue.text_or_empty("issue_name")?))),
        _ => Ok(None),
    }
}

fn feedback(feedback: &Fields, around: &Fields) -> Result<Verdict> {
    // Older clients say the error beside the feedback.
    let error = match feedback.object("error")? {
        Some(error) => Some(error),
        None => around.object("error")?,
    };
    let fault = |error: Fields| {
        Ok::<_, Error>(AssessmentFault {
            code: error.text_or_empty("error_code")?,
            message: error.text("error_message")?,
            stack: error.text("stack_trace")?,
        })
    };
    Ok(Verdict::Feedback { value: feedback.any("value"), error: error.map(fault).transpose()? })
}

fn expected(expectation: &Fields) -> Result<Expected> {
    match expectation.object("serialized_value")? {
        None => Ok(Expected::Plain(expectation.any("value"))),
        Some(serialized) => {
            let (format, text) = (serialized.text_or_empty("serialization_format")?, serialized.need("value")?);
            if format != "JSON_FORMAT" || serde_json::from_str::<Value>(&text).is_err() {
                return Err(text::bad("serialized_value", &format, "it must be JSON in the format JSON_FORMAT"));
            }
            Ok(Expected::Serialized { format, text })
        }
    }
}

/// Reads what to change. The mask names fields, in protobuf's JSON as one text of `lowerCamelCase` words.
pub(super) fn patch(fields: &Fields) -> Result<AssessmentPatch> {
    let given = fields.object("assessment")?.ok_or_else(|| text::missing("assessment"))?;
    let mask = match fields.text("update_mask") {
        Ok(said) => said.ok_or_else(|| text::missing("update_mask"))?,
        Err(_) => fields.object("update_mask")?.unwrap_or_default().texts("paths")?.join(","),
    };
    let mut patch = AssessmentPatch::default();
    for path in mask.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        match path {
            "assessmentName" | "assessment_name" => patch.name = Some(given.need("assessment_name")?),
            "feedback" | "expectation" => patch.verdict = verdict(&given)?,
            "rationale" => patch.rationale = Some(given.text_or_empty("rationale")?),
            "metadata" => patch.metadata = given.map("metadata")?,
            "valid" => patch.is_valid = Some(given.flag("valid")?),
            other => return Err(text::bad("update_mask", other, "this field cannot be changed")),
        }
    }
    Ok(patch)
}
