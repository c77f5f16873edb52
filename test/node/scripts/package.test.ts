import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Validator } from "@cfworker/json-schema";
import { expect, it } from "vitest";
import { serverJsonSchema } from "#harness/machine/server-json-schema.ts";
import { serverJson, type PackageFacts } from "../../../scripts/server-json.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const facts = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as PackageFacts;

it("server.json is current, follows the schema, and names this version of the package", () => {
  const stored = JSON.parse(readFileSync(join(root, "server.json"), "utf8")) as Record<string, unknown>;
  expect(stored, "node scripts/server-json.ts").toEqual(serverJson(facts));
  const validator = new Validator(serverJsonSchema, "7");
  expect(validator.validate(stored).errors).toEqual([]);
  expect(stored).toMatchObject({ name: facts.mcpName, version: facts.version, packages: [{ version: facts.version }] });
  const withRepository = serverJson({ ...facts, repository: { type: "git", url: "git+https://example.com/shim.git" } });
  expect(withRepository["repository"]).toEqual({ url: "https://example.com/shim", source: "github" });
  expect(validator.validate(withRepository).valid).toBe(true);
  expect(validator.validate({ ...stored, description: "x".repeat(101) }).valid).toBe(false);
});
