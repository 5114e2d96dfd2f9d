//! Client of the niks3 API, generated from openapi/niks3.json.
