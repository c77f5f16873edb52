import * as fc from "fast-check";
import { expect, it } from "vitest";
import { statusOf } from "#src/local-mcp/host/status-line.ts";
import { defaults } from "#src/contract/config.ts";
import { machineMetrics } from "#src/local-mcp/metrics/machine-metrics.ts";
import { parseEvents } from "#src/local-mcp/telemetry/telemetry-events.ts";
import { assess, unknownInputs } from "#src/policy/risk.ts";
import type { Grouping, UsageLine } from "#src/contract/machine/usage.ts";
import { usageBy } from "#src/local-mcp/usage/usage-report.ts";
import { pause } from "#src/store/pause.ts";
import { aLiveClaude, rowCount, storedSession, type Claude } from "#harness/machine/claude.ts";
import { anExport, aRequest, deliver } from "#harness/machine/otlp.ts";
import { leaked, tempRuntime, T0, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anApiErrorLine, anAssistantLine, aRetryLine } from "#harness/machine/transcripts.ts";

interface Live {
  readonly runtime: TempRuntime;
  readonly claude: Claude;
  readonly request: (id: string | null, costUsd?: number, tokens?: Readonly<Record<string, number>>) => object;
  readonly error: (attempt: unknown) => object;
}

function aLiveChat(config: Record<string, unknown> = {}): Live {
  const runtime = tempRuntime({ config });
  const claude = aLiveClaude(runtime);
  const event = (name: string, attributes: object) =>
    anExport([{ name, session: claude.session, at: runtime.now(), attributes: { ...attributes } }]);
  return {
    runtime,
    claude,
    request: (id, costUsd = 0.01, tokens = {}) => event("api_request", aRequest(id, costUsd, tokens)),
    error: (attempt) => event("api_error", { model: "claude-opus-5-5", error: "Repeated 529", attempt }),
  };
}

/** The response of `aRequest` in the transcript. */
function said(id: string, overrides: Record<string, number> = {}): string {
  const cache = { cache_creation_input_tokens: 20, cache_read_input_tokens: 1_000 };
  const usage = { input_tokens: 100, ...cache, output_tokens: 50, ...overrides };
  return anAssistantLine({ id: `msg_${id}`, usage }, { requestId: id });
}

function lines(runtime: TempRuntime, by: Grouping = "session"): UsageLine[] {
  return runtime.store.read((sql) => usageBy(sql, { by, since: null }, defaults.usage), []);
}

function redraw(runtime: TempRuntime, { session }: Claude, costUsd: number): void {
  const input = { session_id: session, model: { id: "claude-sonnet-5" }, cost: { total_cost_usd: costUsd } };
  statusOf(runtime, JSON.stringify(input));
}

function costOf(runtime: TempRuntime): number | undefined {
  return lines(runtime)[0]?.clientCostUsd;
}

function microsOf(runtime: TempRuntime): number {
  return Math.round((costOf(runtime) ?? 0) * 1e6);
}

const once = { responses: 1, input: 100, output: 50, cacheRead: 1_000, cacheWrite: 20, clientCostUsd: 0.01 };

it("[OB22] a response counts once, whether the transcript or the telemetry has it first, and however often", () => {
  for (const order of ["transcript first", "telemetry first"]) {
    const { runtime, claude, request } = aLiveChat();
    const body = request("req_1");
    const read = (): void => {
      claude.transcribe(said("req_1", { output_tokens: 1 }), said("req_1"));
      claude.stop();
    };
    if (order === "transcript first") read();
    deliver(runtime, body);
    deliver(runtime, body);
    if (order === "telemetry first") read();
    deliver(runtime, body);
    expect(lines(runtime), order).toMatchObject([once]);
    expect(lines(runtime, "model")).toMatchObject([{ key: "claude-opus-5-5", ...once }]);
    const totals = machineMetrics(runtime).filter(({ name }) => name === "shim_tokens_total");
    expect(totals.reduce((sum, { value }) => sum + value, 0)).toBe(1_170);
  }
});

it("[OB22] telemetry adds nothing to what the transcript has counted; what it never has counts by telemetry", () => {
  const { runtime, claude, request } = aLiveChat();
  claude.transcribe(said("req_1"));
  claude.stop();
  deliver(runtime, request("req_1", 0.01, { input_tokens: 5_000 }));
  deliver(runtime, request("req_compact", 0.02, { input_tokens: 7 }));
  expect(lines(runtime)).toMatchObject([{ responses: 2, input: 107, clientCostUsd: 0.03 }]);
});

it("[OB22] a request without an id, of an unknown session or of a paused chat counts nothing", () => {
  const { runtime, claude, request } = aLiveChat();
  deliver(runtime, request(null));
  const foreign = "40487890-04b4-4fe0-bbd5-6aa531354563";
  const attributes = { ...aRequest("req_2", 1) };
  deliver(runtime, anExport([{ name: "api_request", session: foreign, at: T0, attributes }]));
  runtime.store.write((sql) => pause(sql, runtime.now(), null, claude.cwd));
  deliver(runtime, request("req_3"));
  expect([rowCount(runtime, "usage_messages"), rowCount(runtime, "usage_costs")]).toEqual([0, 0]);
});

it("[OB21] nothing but figures and ids is stored, and what is unknown or not sound is skipped", () => {
  const { runtime, claude, request } = aLiveChat();
  const secrets = ["Rename the parser", "rm -rf build", "someone@example.org"];
  const [prompt = "", command = "", email = ""] = secrets;
  const at = runtime.now();
  const event = (name: string, attributes: object) => ({
    name,
    session: claude.session,
    at,
    attributes: { ...attributes },
  });
  const texts = { prompt, tool_input: command, "user.email": email, error: prompt };
  const body = anExport([
    event("user_prompt", texts),
    event("tool_result", { ...texts, success: "true" }),
    event("api_request", { ...aRequest("req_1", 0.01), ...texts }),
    event("api_request", { ...aRequest("req_2", 0.01), input_tokens: -1 }),
    event("api_request", { ...aRequest("req_3", 0.01), model: { nested: prompt } }),
    event("api_error", { ...texts, attempt: "many" }),
    event("__proto__", texts),
  ]);
  deliver(runtime, body);
  expect(lines(runtime)).toMatchObject([once]);
  expect(leaked(runtime, secrets)).toEqual([]);
  for (const wrong of [null, 1, "x", [], {}, { resourceLogs: {} }, { resourceLogs: [{ scopeLogs: [null] }] }])
    expect(parseEvents(wrong)).toBeNull();
  expect(
    parseEvents({ resourceLogs: [{ scopeLogs: [{ logRecords: [null, 1, {}, { attributes: [null] }] }] }] }),
  ).toEqual([]);
  expect(parseEvents(request("req_4", 0.5))).toMatchObject([{ kind: "request", costMicros: 500_000, at }]);
});

it("[OB21] numbers may come as text, and cost only in dollars, as other versions send them", () => {
  const attributes = { ...aRequest("req_1", 0), input_tokens: "12", cost_usd: "0.000898", cost_usd_micros: undefined };
  const [event] = parseEvents(anExport([{ name: "api_request", session: "s", at: T0, attributes }])) ?? [];
  expect(event).toMatchObject({ input: 12, costMicros: 898 });
});

it("[OB23] the cost of each request goes to its model, and the status line's total adds only what is missing", () => {
  const { runtime, claude, request } = aLiveChat();
  redraw(runtime, claude, 0);
  runtime.wait(1_000);
  deliver(runtime, request("req_1", 0.25));
  redraw(runtime, claude, 0.25);
  expect(costOf(runtime)).toBe(0.25);
  runtime.wait(61_000);
  redraw(runtime, claude, 0.4);
  expect(costOf(runtime)).toBeCloseTo(0.4, 9);
  expect(lines(runtime, "model")).toMatchObject([
    { key: "claude-opus-5-5", clientCostUsd: 0.25 },
    { key: "claude-sonnet-5", clientCostUsd: 0.15 },
  ]);
});

it("[OB23] what the status line has counted is not counted again when its telemetry comes", () => {
  const { runtime, claude, request } = aLiveChat();
  redraw(runtime, claude, 0);
  runtime.wait(1_000);
  const body = request("req_1", 0.25);
  runtime.wait(300);
  redraw(runtime, claude, 0.25);
  deliver(runtime, body);
  expect(costOf(runtime)).toBe(0.25);
  runtime.wait(1_000);
  deliver(runtime, request("req_2", 0.5));
  expect(costOf(runtime)).toBe(0.75);
});

it("[OB23] a client that starts over after a kill is counted from its first total, with or without telemetry", () => {
  const { runtime, claude, request } = aLiveChat();
  redraw(runtime, claude, 0);
  runtime.wait(1_000);
  deliver(runtime, request("req_1", 0.2));
  redraw(runtime, claude, 0.2);
  claude.resume();
  redraw(runtime, claude, 0);
  redraw(runtime, claude, 0.05);
  runtime.wait(61_000);
  redraw(runtime, claude, 0.1);
  expect(costOf(runtime)).toBeCloseTo(0.3, 9);
});

it("[OB23] whatever telemetry is lost, late or repeated: each dollar counts once @night", () => {
  const step = fc.record({
    micros: fc.integer({ min: 1, max: 1_000_000 }),
    gapMs: fc.integer({ min: 1, max: 90_000 }),
    fate: fc.constantFrom("sent", "late", "lost", "twice"),
    isRedrawn: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const chat = aLiveChat();
      const { runtime, claude } = chat;
      let total = 0;
      let waiting: object[] = [];
      redraw(runtime, claude, 0);
      for (const [at, { micros, gapMs, fate, isRedrawn }] of steps.entries()) {
        runtime.wait(gapMs);
        total += micros;
        const body = chat.request(`req_${at}`, micros / 1e6);
        const now = { sent: [body], twice: [body, body], late: [], lost: [] }[fate];
        runtime.wait(1);
        for (const one of [...waiting, ...now.slice(0, 1)]) deliver(runtime, one);
        waiting = fate === "late" ? [body] : [];
        if (isRedrawn) redraw(runtime, claude, total / 1e6);
        for (const one of now.slice(1)) deliver(runtime, one);
        expect(microsOf(runtime)).toBeLessThanOrEqual(total);
      }
      for (const late of waiting) deliver(runtime, late);
      runtime.wait(61_000);
      redraw(runtime, claude, total / 1e6);
      expect(microsOf(runtime)).toBe(total);
    }),
    { numRuns: 20 },
  );
});

it("[OB24] failed tries in a row raise the risk until an answer comes", () => {
  const { runtime, claude, request, error } = aLiveChat();
  const reading = () => storedSession(runtime, claude.session).readings.apiErrors?.value;
  const reasons = () => {
    const { readings } = storedSession(runtime, claude.session);
    return assess(readings, runtime.config.risk, runtime.now()).reasons.map(({ name }) => name);
  };
  expect(unknownInputs({}, T0)).not.toContain("apiErrors");
  deliver(runtime, request("req_0"));
  expect(reading()).toBeUndefined();
  const first = error(2);
  deliver(runtime, first);
  deliver(runtime, first);
  expect([reading(), reasons()]).toEqual([2, []]);
  runtime.wait(60_000);
  deliver(runtime, error("1"));
  expect([reading(), reasons()]).toEqual([3, ["apiErrors"]]);
  expect(machineMetrics(runtime).find(({ labels }) => labels["reason"] === "apiErrors")?.value).toBe(1);
  runtime.wait(1_000);
  deliver(runtime, request("req_1"));
  expect([reading(), reasons()]).toEqual([0, []]);
});

it("[OB24] a streak is not used after ten minutes, and does not go on after them", () => {
  const { runtime, claude, error } = aLiveChat();
  deliver(runtime, error(11));
  runtime.wait(600_001);
  const { readings } = storedSession(runtime, claude.session);
  const { reasons } = assess(readings, runtime.config.risk, runtime.now());
  expect(reasons.map(({ name }) => name)).not.toContain("apiErrors");
  deliver(runtime, error(1));
  expect(storedSession(runtime, claude.session).readings.apiErrors?.value).toBe(1);
});

it("[OB24] the weight and the threshold are the configuration's", () => {
  const risk = { weights: { apiErrors: 0.6 }, thresholds: { apiErrors: 10 } };
  const { runtime, claude, error } = aLiveChat({ risk });
  deliver(runtime, error(10));
  runtime.wait(1);
  deliver(runtime, error(1));
  const { readings, riskMark } = storedSession(runtime, claude.session);
  expect(assess(readings, runtime.config.risk, runtime.now())).toMatchObject({ score: 0.6, level: "danger" });
  expect(riskMark.pending).toBe("danger");
});

type Fields = Readonly<Record<string, unknown>>;

/** Lines of the transcript at this moment, which a hook reads a second later. */
function written({ runtime, claude }: Live, ...texts: ((overrides: Fields) => string)[]): void {
  for (const text of texts) {
    runtime.wait(1_000);
    claude.transcribe(text({ timestamp: new Date(runtime.now()).toISOString() }));
  }
  runtime.wait(1_000);
  claude.use("Bash", { command: "true" });
}

const retry = (overrides: Fields): string => aRetryLine(1, overrides);
const givenUp = (overrides: Fields): string => anApiErrorLine("API Error: Repeated 529", overrides);
const answered = (overrides: Fields): string => anAssistantLine({ id: "msg_answer" }, overrides);

function streakOf({ runtime, claude }: Live): number | undefined {
  return storedSession(runtime, claude.session).readings.apiErrors?.value;
}

it("[OB24] without telemetry failed tries are counted from the transcript until an answer comes", () => {
  const chat = aLiveChat();
  written(chat, answered);
  expect(streakOf(chat)).toBeUndefined();
  written(chat, retry, retry);
  written(chat, retry, givenUp);
  expect(streakOf(chat)).toBe(4);
  const { readings } = storedSession(chat.runtime, chat.claude.session);
  const { reasons } = assess(readings, chat.runtime.config.risk, chat.runtime.now());
  expect(reasons.map(({ name }) => name)).toContain("apiErrors");
  written(chat, retry, answered);
  expect(streakOf(chat)).toBe(0);
  chat.runtime.wait(600_001);
  written(chat, retry);
  expect(streakOf(chat)).toBe(1);
});

it("[OB24] failed tries of a sub-agent's lines are none of the chat", () => {
  const chat = aLiveChat();
  written(chat, (overrides) => aRetryLine(1, { ...overrides, isSidechain: true }));
  expect(streakOf(chat)).toBeUndefined();
});

it("[OB24] a try that transcript and telemetry report counts once, whichever has it first", () => {
  const told = aLiveChat();
  written(told, retry, retry, givenUp);
  deliver(told.runtime, told.error(3));
  expect(streakOf(told)).toBe(3);
  const late = aLiveChat();
  deliver(late.runtime, late.error(3));
  written(late, retry, retry, givenUp);
  expect(streakOf(late)).toBe(3);
  deliver(late.runtime, late.request("req_1"));
  expect(streakOf(late)).toBe(0);
});

it("[OB24] a late answer of the telemetry ends no streak that began after it", () => {
  const chat = aLiveChat();
  const answer = chat.request("req_1");
  written(chat, retry, retry);
  deliver(chat.runtime, answer);
  expect(streakOf(chat)).toBe(2);
});
