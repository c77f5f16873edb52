/** `codex app-server` as Codex 0.169.0 answers it: lists hooks with their trust, and stores trust in config.toml. */
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { toml, valueAt } from "#src/installer/settings.ts";
import { type JsonObject, isRecord, listAt, objectAt, parseObject } from "#src/shared/json-fields.ts";

const folder = process.env["CODEX_HOME"] || join(process.env["HOME"] ?? "", ".codex");
const hooksFile = join(folder, "hooks.json");
const configFile = join(folder, "config.toml");
const behavior = process.env["FAKE_CODEX"];

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function hooks(): object[] {
  const events = objectAt(parseObject(textOf(hooksFile)), "hooks") ?? {};
  return Object.keys(events).flatMap((event) =>
    listAt(events, event).flatMap((group, at) =>
      listAt(isRecord(group) ? group : null, "hooks").flatMap((handler, index) =>
        isRecord(handler) ? [hookOf(handler, `${hooksFile}:${snakeCase(event)}:${at}:${index}`)] : [],
      ),
    ),
  );
}

function hookOf(handler: JsonObject, key: string): object {
  const currentHash = `sha256:${createHash("sha256").update(JSON.stringify(handler)).digest("hex")}`;
  const state = valueAt(toml.read(textOf(configFile)), ["hooks", "state", key]);
  const trusted = isRecord(state) ? state["trusted_hash"] : undefined;
  const trustStatus = trusted === undefined ? "untrusted" : trusted === currentHash ? "trusted" : "modified";
  return { key, command: handler["command"], currentHash, trustStatus, enabled: true };
}

function snakeCase(name: string): string {
  return name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

function write(params: JsonObject | null): JsonObject {
  const [edit] = listAt(params, "edits");
  const states = objectAt(isRecord(edit) ? edit : null, "value") ?? {};
  if (behavior === "forgets") return { status: "ok" };
  if (valueAt(toml.read(textOf(configFile)), ["hooks", "state"]) === undefined)
    appendFileSync(configFile, "\n[hooks.state]\n");
  for (const [key, state] of Object.entries(states).filter(([, one]) => isRecord(one)) as [string, JsonObject][])
    appendFileSync(
      configFile,
      `\n[hooks.state.${JSON.stringify(key)}]\nenabled = true\ntrusted_hash = "${String(state["trusted_hash"])}"\n`,
    );
  return { status: "ok" };
}

const methods: Readonly<Record<string, (params: JsonObject | null) => object>> = {
  initialize: () => ({}),
  "hooks/list": () => ({ data: [{ hooks: hooks() }] }),
  "config/batchWrite": write,
};

if (behavior !== "ends") {
  createInterface({ input: process.stdin }).on("line", (line) => {
    const request = parseObject(line);
    const method = methods[String(request?.["method"])];
    if (!method) return;
    const reply =
      behavior === "refuses"
        ? { error: { message: "no such method" } }
        : { result: method(objectAt(request, "params")) };
    process.stdout.write(`not JSON\n${JSON.stringify({ id: request?.["id"], ...reply })}\n`);
  });
}
