import { expect, it } from "vitest";
import { redact } from "#src/redaction/redact.ts";
import { secretSamples, tokens } from "#harness/secrets/secret-corpus.ts";
import { base62, draw, drawn, hex } from "#harness/secrets/secret-draw.ts";
import { codeCases, codeLines, placeholderCases } from "#harness/secrets/secret-families.ts";
import { placeholders, secretCases, tuned } from "#harness/secrets/secret-families.ts";
import { lookAlikes } from "#harness/secrets/secret-look-alikes.ts";
import { appendFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { statusOf } from "#src/machine/view/status-line.ts";
import { hookEvents } from "#src/contract/hooks.ts";
import { refreshIfDue } from "#src/local-mcp/host/refresh.ts";
import { idOf } from "#src/machine/sessions/entries.ts";
import { aChat, rowCount } from "#harness/machine/claude.ts";
import { connect } from "#harness/machine/mcp-process.ts";
import { leaked, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { aToolResultLine, aToolUse, anAssistantLine } from "#harness/machine/transcripts.ts";

const d = draw(99);

it.each(tokens)("%s is known by its format alone: %s", (kind, pattern) => {
  const token = drawn(d, pattern);
  // An address keeps the name of its signature.
  const kept = kind === "url-signature" ? token.slice(0, token.indexOf("=") + 1) : "";
  expect(redact(`a (${token}) b`)).toEqual({ text: `a (${kept}[redacted:${kind}]) b`, count: 1 });
});

it("a known prefix before words is no token, and a real one after it is found", () => {
  const names = [
    "sk-loading-indicator-with-three-dots-animation",
    "sk-ant-design-component-library-theme",
    "sb_secret_name_of_the_project_in_vault",
    "vcr_recordingwithoutanynumbers",
    "secret_garden_of_the_hidden_flowers_near_the_old_house_x",
    "ghp_exampleexampleexampleexampleexampleexample",
    `AKIAEXAMPLE${"Q".repeat(9)}`,
    "eyJhbGciOiJIUzI1NiJ9 is the header of a token in JWT form",
  ];
  for (const text of [...names, names.join(" ")]) expect(redact(text)).toEqual({ text, count: 0 });
  const token = `ghp_${d.chars(base62, 36)}`;
  expect(redact(`${names[5]} ${token}`).text).toMatch(/ \[redacted:github-token\]$/);
});

const seeds = [5, 7, 11, 20_251];

/** Of code as it stands in a file, in JSON, and in JSON in JSON. */
const writings = [
  (text: string) => text,
  (text: string) => JSON.stringify({ content: text }),
  (text: string) => JSON.stringify({ body: JSON.stringify({ content: text }) }),
];

it("each secret of the corpus goes, with a marker in its stead", () => {
  for (const seed of seeds)
    for (const [depth, write] of writings.entries()) {
      const left = secretSamples(seed).filter(({ text, secrets }) => {
        const redacted = redact(write(text)).text;
        return secrets.some((secret) => redacted.includes(secret)) || !/\[redacted:[a-z0-9-]+\]/.test(redacted);
      });
      expect([seed, depth, left]).toEqual([seed, depth, []]);
    }
});

it("what only looks like a secret stays, as does a placeholder where a password could stand", () => {
  for (const seed of seeds)
    for (const { name, text } of lookAlikes(seed))
      for (const write of writings) expect(redact(write(text)), name).toEqual({ text: write(text), count: 0 });
  // The password of an ADO.NET connection may have any sign but a semicolon.
  const short = secretSamples(5).filter(({ name, secrets: [secret = ""] }) => secret.length < 17 && !/ADO/.test(name));
  for (const { name, text, secrets } of short)
    for (const placeholder of ["<token>", "$TOKEN"])
      expect(redact(text.replace(secrets[0] ?? "", () => placeholder)).count, name).toBe(0);
});

/** A part of twelve characters counts as the secret: half of it is enough to find the rest. */
function isLeft(text: string, secret: string): boolean {
  if (secret.length < 16) return text.includes(secret);
  const from = [secret.length >> 2, secret.length >> 1, secret.length - 12];
  return from.some((at) => text.includes(secret.slice(at, at + 12)));
}

it("of values at names that tell a secret, in any spelling and notation, at most one in a hundred stays", () => {
  for (const seed of [4_711, 90_125]) {
    const cases = secretCases(tuned, seed);
    const missed = cases.filter(({ text, secrets }) => secrets.some((secret) => isLeft(redact(text).text, secret)));
    expect(cases.length).toBeGreaterThan(500);
    expect(missed.length, missed.map(({ family }) => family).join("\n")).toBeLessThanOrEqual(cases.length / 100);
  }
});

it("placeholders at such names, and such names in code, are left as they are", () => {
  const names = [...tuned.passwords, ...tuned.tokens];
  const cases = [...placeholderCases(tuned, placeholders, 4_711), ...codeCases(names, codeLines, 4_711)];
  expect(cases.length).toBeGreaterThan(500);
  for (const { family, text } of cases) expect(redact(text).text, family).toBe(text);
});

/** One for each field, so that a failure tells the field: the model's name is also stored in small letters. */
function tokenOf(field: string): string {
  return `ghp_${draw(7).chars(base62, 36 - field.length)}${field.replace(/\W|_/g, "X")}`;
}

/** The fields whose token stands in a file of the store or in the log. */
function found(runtime: TempRuntime, fields: readonly string[]): string[] {
  const folder = dirname(runtime.paths.database);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
  const stored = [...bytes, JSON.stringify(runtime.logged)].join("\n").toLowerCase();
  return fields.filter((field) => stored.includes(tokenOf(field).toLowerCase()));
}

it("no secret in a short field of a transcript or of the status line is stored", async () => {
  const fields = ["model", "message", "request", "uuid", "trigger", "toolId", "toolName", "agentFile", "agentModel"];
  fields.push("lineModel", "costModel", "errorId", "resultId");
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("fix it");
  const call = aToolUse(tokenOf("toolId"), tokenOf("toolName"), { command: "ls" });
  const usage = { input_tokens: 100, output_tokens: 50 };
  const message = { id: tokenOf("message"), model: tokenOf("model"), content: [call], usage };
  const boundary = { subtype: "compact_boundary", compactMetadata: { trigger: tokenOf("trigger"), preTokens: 5 } };
  const error = { uuid: tokenOf("errorId"), isApiErrorMessage: true };
  claude.transcribe(
    JSON.stringify({ type: "system", uuid: tokenOf("uuid"), ...boundary }),
    anAssistantLine(message, { requestId: tokenOf("request"), uuid: tokenOf("uuid") }),
    aToolResultLine(tokenOf("toolId"), "ok", false),
    aToolResultLine(tokenOf("resultId"), "failed", true),
    anAssistantLine({ content: [{ type: "text", text: "limit reached" }] }, error),
  );
  claude.use("Bash");
  claude.stop();
  const file = join(dirname(claude.transcript), claude.session, "subagents", `agent-${tokenOf("agentFile")}.jsonl`);
  mkdirSync(dirname(file), { recursive: true });
  const ofAgent = anAssistantLine({ id: "s1", model: tokenOf("agentModel"), usage }, { isSidechain: true });
  appendFileSync(file, `${ofAgent}\n`);
  const { chat } = await connect(runtime, { clientPid: claude.pid });
  runtime.wait(16_000);
  refreshIfDue(chat, claude.session);
  for (const [field, cost] of Object.entries({ lineModel: 0.5, costModel: 1.5 })) {
    const line = { session_id: claude.session, model: { id: tokenOf(field) }, cost: { total_cost_usd: cost } };
    statusOf(runtime, JSON.stringify(line));
  }
  const query = "SELECT DISTINCT model FROM usage_messages UNION SELECT model FROM usage_costs";
  expect(runtime.store.read((sql) => sql.all(query), [])).toEqual([{ model: "[redacted:github-token]" }]);
  expect(found(runtime, fields)).toEqual([]);
});

it("no secret in a field of any event is stored", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("fix it");
  const fields = [
    "prompt_id agent_id agent_type source model tool_use_id trigger reason notification_type message from_model to_model",
    "permission_mode error compact_summary last_assistant_message custom_instructions",
  ].flatMap((names) => names.split(" "));
  const inCalls = ["command", "path", "content", "todo", "subject", "nested", "task", "stdout", "prompt"];
  const [command, path, content, todo, subject, nested, task, stdout, prompt] = inCalls.map(tokenOf);
  const todos = [{ content: todo, status: "pending" }];
  const tool_input = { command, file_path: `/w/${path}`, content, todos, taskId: "1", subject, nested: [{ nested }] };
  const call = { tool_input, tool_response: { type: "create", stdout, task: { id: "1", subject: task } } };
  const events = hookEvents.filter((event) => event !== "SessionEnd");
  const tools = ["Bash", "Write", "TodoWrite", "TaskCreate", "TaskUpdate", "mcp__x__y", tokenOf("tool_name")];
  for (const [n, tool_name] of tools.entries())
    for (const event of events) {
      // Another turn and call for each tool.
      const given = Object.fromEntries(fields.map((field) => [field, `${n} ${tokenOf(field)}`]));
      claude.tell(event, { prompt, tool_name, ...call, ...given });
    }
  const paths = ["session_id", "transcript_path", "cwd"];
  const inPaths = Object.fromEntries(paths.map((field) => [field, `/w/${tokenOf(field)}`]));
  claude.tell("UserPromptSubmit", { prompt, ...inPaths });
  claude.tell("SessionEnd", { reason: tokenOf("reason") });
  expect([rowCount(runtime, "journal") > 30, rowCount(runtime, "checkpoints") > 0]).toEqual([true, true]);
  const all = [...fields, ...inCalls, ...paths, "tool_name"];
  expect([found(runtime, all), leaked(runtime, all.map(tokenOf))]).toEqual([[], []]);
});

it("ids as clients make them are kept as they are", () => {
  const d = draw(11);
  for (let n = 0; n < 500; n++) {
    const ids = [`msg_01${d.chars(base62, 22)}`, `req_011${d.chars(base62, 21)}`, `toolu_01${d.chars(base62, 22)}`];
    for (const id of [...ids, `msg_bdrk_01${d.chars(base62, 22)}`, `agent-${d.chars(hex, 17)}.jsonl`])
      expect(idOf(id)).toBe(id);
  }
});
