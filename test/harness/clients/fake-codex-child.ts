/** `codex app-server` as Codex 0.169.0 answers it: lists hooks with their trust, and stores trust in config.toml. */
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { toml, valueAt } from "#src/installer/settings.ts";
import { type JsonObject, asObject, isRecord, listAt, objectAt, parseObject } from "#src/shared/json-fields.ts";

const folder = process.env["CODEX_HOME"] || join(process.env["HOME"] ?? "", ".codex");
const hooksFile = join(folder, "hooks.json");
const configFile = join(folder, "config.toml");

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");

function stateAt(...keys: readonly string[]): unknown {
  return valueAt(toml.read(textOf(configFile)), ["hooks", "state", ...keys]);
}

function hooks(): object[] {
  const events = objectAt(parseObject(textOf(hooksFile)), "hooks") ?? {};
  return Object.keys(events).flatMap((event) => {
    const name = event.replaceAll(/(?<=[a-z])[A-Z]/g, "_$&").toLowerCase();
    return listAt(events, event).flatMap((group, at) =>
      listAt(asObject(group), "hooks").flatMap((handler, index) =>
        isRecord(handler) ? [hookOf(handler, `${hooksFile}:${name}:${at}:${index}`)] : [],
      ),
    );
  });
}

function hookOf(handler: JsonObject, key: string): object {
  const currentHash = `sha256:${createHash("sha256").update(JSON.stringify(handler)).digest("hex")}`;
  const trusted = stateAt(key, "trusted_hash");
  const trustStatus = trusted === undefined ? "untrusted" : trusted === currentHash ? "trusted" : "modified";
  return { key, command: handler["command"], currentHash, trustStatus, enabled: true };
}

function write(params: JsonObject | null): JsonObject {
  const states = objectAt(asObject(listAt(params, "edits")[0]), "value") ?? {};
  if (process.env["FAKE_CODEX"] === "forgets") return { status: "ok" };
  if (stateAt() === undefined) appendFileSync(configFile, "\n[hooks.state]\n");
  for (const key of Object.keys(states)) {
    const hash = JSON.stringify(objectAt(states, key)?.["trusted_hash"]);
    appendFileSync(configFile, `\n[hooks.state.${JSON.stringify(key)}]\nenabled = true\ntrusted_hash = ${hash}\n`);
  }
  return { status: "ok" };
}

const methods: Readonly<Record<string, (params: JsonObject | null) => object>> = {
  initialize: () => ({}),
  "hooks/list": () => ({ data: [{ hooks: hooks() }] }),
  "config/batchWrite": write,
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const request = parseObject(line);
  const result = methods[String(request?.["method"])]?.(objectAt(request, "params"));
  if (result) process.stdout.write(`not JSON\n${JSON.stringify({ id: request?.["id"], result })}\n`);
});
