//! The Swagger 2.0 document of a service, around the schemas of its own input and output.

use bytes::Bytes;
use serde_json::{Value, json};

/// How floats that JSON cannot spell are written, in requests and answers alike.
pub(crate) const NOT_FINITE: &str =
    "Floating-point values that JSON cannot spell are the strings \"NaN\", \"Infinity\" and \"-Infinity\".";

/// The document. `input` and `output` are the schemas of the body of `POST /score` and of its answer.
pub(crate) fn document(input: &Value, output: &Value) -> Bytes {
    let error =
        |description: &str| json!({"description": description, "schema": {"$ref": "#/definitions/ErrorResponse"}});
    let document = json!({
        "swagger": "2.0",
        "info": {"title": "ML service", "description": NOT_FINITE, "version": "1.0"},
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": {
            "Bearer": {"type": "apiKey", "name": "Authorization", "in": "header",
                       "description": "Bearer, a space, then the key or token of the service."}
        },
        "paths": {
            "/": {"get": {
                "operationId": "ServiceHealthCheck",
                "summary": "Tells whether the service is up.",
                "produces": ["text/plain"],
                "responses": {
                    "200": {"description": "The service is up.", "schema": {"type": "string"},
                            "examples": {"text/plain": wire::score::HEALTHY}},
                    "default": error("The service is not up.")
                }
            }},
            "/score": {"post": {
                "operationId": "RunMLService",
                "summary": "Runs the model on the input.",
                "security": [{"Bearer": []}],
                "parameters": [{"name": "serviceInputPayload", "in": "body", "required": true,
                                "schema": {"$ref": "#/definitions/ServiceInput"}}],
                "responses": {
                    "200": {"description": "The prediction.", "schema": {"$ref": "#/definitions/ServiceOutput"}},
                    "400": error("The input does not fit the model."),
                    "502": error("The model failed on this input."),
                    "503": error("All workers are busy; try again after the time in Retry-After."),
                    "504": error("The model took too long."),
                    "default": error("The call failed.")
                }
            }},
            "/swagger.json": {"get": {
                "operationId": "GetSwaggerSpec",
                "summary": "This document.",
                "responses": {
                    "200": {"description": "This document.", "schema": {"type": "object"}},
                    "default": error("The call failed.")
                }
            }}
        },
        "definitions": {
            "ServiceInput": input,
            "ServiceOutput": output,
            "ErrorResponse": {
                "type": "object",
                "required": ["status_code", "message"],
                "properties": {
                    "status_code": {"type": "integer", "format": "int32"},
                    "message": {"type": "string"}
                }
            }
        }
    });
    Bytes::from(document.to_string())
}
