// The documents that Plaza prints, read by tools that know nothing of it: documents.mjs OPENAPI ASYNCAPI
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import { finish, step } from "./report.mjs";

const [openapiPath, asyncapiPath] = process.argv.slice(2);
const openapi = JSON.parse(readFileSync(openapiPath, "utf8"));

await step("openapi.json is OpenAPI 3.1", async () => {
	const validator = new Validator();
	const result = await validator.validate(structuredClone(openapi));
	assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
	assert.equal(validator.version, "3.1");
});

await step("every shape of openapi.json compiles as JSON Schema 2020-12", () => {
	const ajv = new Ajv({ strict: false, validateFormats: false });
	ajv.addSchema({ $id: "plaza:openapi", ...openapi });
	const names = Object.keys(openapi.components.schemas);
	assert.ok(names.length > 0);
	for (const name of names)
		assert.ok(ajv.compile({ $ref: `plaza:openapi#/components/schemas/${name}` }), name);
});

await step("every operation has an id of its own", () => {
	const ids = Object.values(openapi.paths).flatMap((item) =>
		Object.values(item).map((operation) => operation.operationId));
	assert.ok(ids.every(Boolean) && ids.length > 0);
	assert.deepEqual(ids.filter((id, i) => ids.indexOf(id) !== i), []);
});

await step("asyncapi.json is AsyncAPI 3", async () => {
	const { document, diagnostics } = await new Parser().parse(readFileSync(asyncapiPath, "utf8"));
	// 0 error, 1 warning; the rest is advice.
	assert.deepEqual(diagnostics.filter((d) => d.severity <= 1).map((d) => `${d.path.join("/")}: ${d.message}`), []);
	assert.ok(document.channels().all().length > 0);
});

finish("documents");
