import { adapterOf, clientTitle, supportedClients } from "../../clients/adapters.ts";
import type { ClientAdapter, HeadlessChat } from "../../clients/adapter/client-adapter.ts";
import { clientEnvironment } from "../../clients/client-environment.ts";
import type { RunRule } from "../../contract/config.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { Plan } from "../../contract/machine/recovery.ts";
import type { Run } from "../../contract/machine/runs.ts";
import type { WindowWay } from "../../contract/window-acts.ts";
import { isFolder } from "../../platform/paths.ts";
import { programEnv } from "../../platform/run-program.ts";
import { identify, isDescendant } from "../../platform/processes.ts";
import { redactAndClip } from "../../redaction/redact.ts";
import type { HostedRun } from "../../runtime/hosted-runs.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { uuidv4 } from "../../shared/ids.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { covers } from "../../store/pause.ts";
import type { CallerSurface } from "../context/operation-wire.ts";
import type { HandlerContext, Handlers } from "../recovery/handler-context.ts";
import { findSession } from "../recovery/resolve-id.ts";
import { agentsOf } from "../sessions/activity/activity.ts";
import { isAlive, livingSessions } from "../sessions/life/presence.ts";
import { isInTurn } from "../sessions/life/questions.ts";
import * as life from "../sessions/life/row.ts";
import * as audit from "../sessions/machine-audit.ts";
import { denyAll } from "../sessions/requests.ts";
import { originOf } from "../team/deliver-news.ts";
import { refuseChat } from "./by-chat.ts";
import { actInWindow } from "./request-handlers.ts";

/** Runs at once: each is a client with a model. */
const maxRuns = 10;
/** Characters of the last words of a run. */
const maxTextChars = 600;

export const runHandlers = {
  async "runs.list"({ runtime: load }) {
    const runtime = await load();
    const now = runtime.now();
    const projects = runtime.config.runs.filter((rule) => isOpen(rule, now));
    return ok({
      projects: projects.map(({ project, until }) => ({
        project,
        endsInMs: until === undefined ? null : Date.parse(until) - now,
      })),
      clients: supportedClients.map(({ name, title, window }) => ({ name, title, stops: stopsOf(window?.stop) })),
      runs: namedRuns(runtime).map((run) => toShown(run, now)),
    });
  },
  async "runs.start"(context, { session, project, client, isNew, text }) {
    const { runtime: load, by = "command line" } = context;
    const runtime = await load();
    const refused = await refuseChat(context, "start or stop clients");
    if (refused !== null) return refused;
    if (!runtime.runs.areAllowed) return fail("switched_off", insideDesktop);
    const given = { session, folder: project, client, isNew };
    const planned = session === undefined ? planNew(runtime, given) : await planOf(context, given, session);
    if (!planned.ok) return planned;
    const { cwd, takes } = planned.value;
    const rule = ruleOf(runtime, cwd);
    if (rule === undefined) return switchedOff(cwd);
    const isStarted = runtime.runs.list().some((run) => run.state === "runs" && run.session === planned.value.chat.id);
    if (isStarted) return fail("still_running", "the host has started its client already: wait for it, or stop it.");
    if (runtime.runs.working >= maxRuns)
      return fail("throttled", `${maxRuns} runs are at work: wait for one, or stop it (\`shim runs stop <run>\`).`);
    const taken = takes === null ? ok(null) : await context.call("recovery.take", takes);
    if (!taken.ok) return taken;
    return ok(
      launch(runtime, planned.value, { rule, text, by }, () => {
        if (takes !== null) void context.call("recovery.withdraw", takes).catch(() => undefined);
      }),
    );
  },
  async "runs.stop"(context, { run: given }) {
    const { runtime: load, by = "command line" } = context;
    const runtime = await load();
    const refused = await refuseChat(context, "start or stop clients");
    if (refused !== null) return refused;
    const working = namedRuns(runtime).filter(({ state }) => state === "runs");
    const [first, second] = working.filter(({ id, session }) => id.startsWith(given) || session?.startsWith(given));
    if (second !== undefined) return fail("ambiguous", `several runs begin with "${given}".`);
    if (first === undefined) return stopTurn(runtime, given, by);
    const { id, session } = first;
    audit.record(runtime, { kind: "run.stopped", session, by, result: "done" });
    await runtime.runs.stop(id);
    return ok({ run: id, session });
  },
} satisfies Partial<Handlers>;

const insideDesktop =
  "SHIM's host runs inside Claude Desktop, which lets it start no client: open a chat in another client, whose host does.";

function isOpen({ until }: RunRule, now: number): boolean {
  return until === undefined || now < Date.parse(until);
}

/** By which clients may be started and stopped there. */
function ruleOf({ config, now }: Runtime, folder: string): RunRule | undefined {
  return config.runs.find((one) => isOpen(one, now()) && covers(one.project, folder));
}

function switchedOff(folder: string): Result<never> {
  const how = `\`shim runs allow ${folder}\`, on the machine, allows that`;
  return fail("switched_off", `no client may be started or stopped in ${folder} from elsewhere. ${how}.`);
}

interface Asked {
  readonly session: string | undefined;
  readonly folder: string | undefined;
  readonly client: string | undefined;
  readonly isNew: boolean;
}

interface PlannedRun {
  readonly adapter: ClientAdapter;
  readonly chat: HeadlessChat;
  readonly cwd: string;
  /** Before the prompt; null: the client keeps the chat. */
  readonly brief: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** The session that the new chat takes, and the id by which it does; null: none. */
  readonly takes: { readonly session: string; readonly chat: string } | null;
}

interface Launching {
  readonly rule: RunRule;
  readonly text: string;
  readonly by: CallerSurface;
}

function launch(
  runtime: Runtime,
  { adapter, chat, cwd, brief, env, takes }: PlannedRun,
  { rule, text, by }: Launching,
  onEnd: () => void,
): MachineOutput<"runs.start"> {
  const prompt = brief === null ? text : `${brief}\n\n${text}`;
  const line = adapter.commands.run(prompt, rule.args?.[adapter.name] ?? [], chat);
  const own = {
    ...clientEnvironment(adapter.name, runtime.env, [], runtime.paths.home),
    ...adapter.variables.attended,
  };
  const id = uuidv4(runtime.random(16)).slice(0, 8);
  const session = line.args.includes(chat.id) ? chat.id : null;
  const run = { id, session, project: cwd, client: adapter.title, by, startedAt: runtime.now() };
  const subject = session ?? takes?.session ?? null;
  audit.record(runtime, { kind: "run.started", session: subject, by, result: `${adapter.name}: begun` });
  runtime.runs.start(run, { ...line, cwd, env: programEnv(own, env) }, (over) => {
    noteEnd(runtime, over, by);
    onEnd();
  });
  return { run: id, session, client: adapter.title, project: cwd, isContinued: !chat.isNew };
}

function planNew({ random }: Runtime, { folder, client = "" }: Asked): Result<PlannedRun> {
  const adapter = adapterOf(client);
  if (adapter === null || folder === undefined)
    return fail("bad_input", "name a session, or a project and the client of a new chat.");
  if (!isFolder(folder)) return fail("bad_input", `there is no folder ${folder}.`);
  const chat = { id: uuidv4(random(16)), isNew: true };
  return ok({ adapter, chat, cwd: folder, brief: null, env: {}, takes: null });
}

/** Two programs would write one transcript where a window has the session open: that is refused. */
async function planOf({ call }: HandlerContext, asked: Asked, session: string): Promise<Result<PlannedRun>> {
  const { client, isNew } = asked;
  const planned = await call("recovery.plan", { session, isNew, ...(client !== undefined && { client }) });
  if (!planned.ok) return planned;
  const { refusal } = planned.value;
  const isOpen = refusal?.code === "still_running";
  if (refusal === null || (isOpen && isNew)) return toRun(planned.value, adapterOf(client ?? planned.value.client));
  const how = "write to it (`shim requests message <session> <text>`), or begin a new chat with its brief (--is-new)";
  return fail(refusal.code, isOpen ? `its client runs: ${how}. ${refusal.message}` : refusal.message);
}

function toRun({ start, refusal, brief, session }: Plan, adapter: ClientAdapter | null): Result<PlannedRun> {
  if (adapter === null || start === null || start.cwd === null)
    return fail("bad_input", "it cannot be continued here: its folder is gone, or its client has no command.");
  const { kind, newId, cwd, env } = start;
  const chat = kind === "resume" ? { id: session, isNew: false } : { id: newId ?? "", isNew: true };
  if (kind === "resume") return ok({ adapter, chat, cwd, brief: null, env, takes: null });
  // The session of an open window stays with its chat.
  if (refusal !== null) return ok({ adapter, chat, cwd, brief, env: {}, takes: null });
  return ok({ adapter, chat, cwd, brief, env, takes: { session, chat: chat.id } });
}

/** Runs with the sessions that their clients have named meanwhile. */
function namedRuns(runtime: Runtime): HostedRun[] {
  const { runs, processes, store } = runtime;
  const unnamed = runs
    .list()
    .filter(({ session, group, state }) => state === "runs" && session === null && group !== null);
  if (unnamed.length > 0) {
    const living = store.read((sql) => livingSessions(sql, runtime), []);
    for (const { id, group } of unnamed) {
      const leader = group === null ? null : identify(processes, group);
      const found = living.find(({ owner }) => owner && leader && isDescendant(processes, owner.pid, leader));
      if (found) runs.change(id, { session: found.id });
    }
  }
  return runs.list();
}

function toShown({ id, session, project, client, by, state, text, startedAt }: HostedRun, now: number): Run {
  // A secret that a cut begins in would not be known as one.
  const shown = redactAndClip(text, text.length).slice(-maxTextChars);
  return { run: id, session, project, client, by: originOf(by), state, text: shown, ageMs: now - startedAt };
}

function stopsOf(way: WindowWay | undefined): "now" | "call" | null {
  return way === undefined ? null : way === "hook" ? "call" : "now";
}

/** Stops the turn of a chat in a window; its client lives on. */
async function stopTurn(
  runtime: Runtime,
  given: string,
  by: CallerSurface,
): Promise<Result<MachineOutput<"runs.stop">>> {
  const found = findSession(runtime, given);
  if (!found.ok) return found;
  const session = found.value;
  const { id, project } = session;
  const isAtWork = runtime.store.read(
    (sql) => isInTurn(life.read(sql, id)) !== false || agentsOf(sql, id).length > 0,
    true,
  );
  if (!isAlive(runtime, session) || !isAtWork) return fail("ended", "no turn of it is at work.");
  if (project === null || !ruleOf(runtime, project)) return switchedOff(project ?? "its folder");
  if (!(await actInWindow(runtime, session, "stop", { stop: true })))
    return fail("not_released", `${clientTitle(session)} takes no stop from elsewhere: stop it in its terminal (Esc).`);
  audit.record(runtime, { kind: "turn.stopped", session: id, by, result: "sent" });
  // No hook comes while it asks.
  if (adapterOf(session.client)?.window?.stop === "hook") denyAll(runtime, id, by);
  return ok({ run: null, session: id });
}

/** A run that was stopped, or whose store is gone, fails nothing. */
function noteEnd(runtime: Runtime, { session, state }: HostedRun, by: CallerSurface): void {
  try {
    audit.record(runtime, { kind: "run.ended", session, by, result: state });
  } catch (error) {
    runtime.log("warn", "the end of a run was not recorded", { error: String(error) });
  }
}
