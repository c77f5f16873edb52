import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseObject } from "../../src/shared/json-fields.ts";
import { untilFound } from "../../test/harness/claude/claude-code.ts";
import { startScriptedModel, type Step, type ScriptedModel } from "../../test/harness/claude/scripted-model.ts";
import { SyncRig, type Machine } from "../sync/sync.ts";
import { ChatProcess } from "./chat-process.ts";
import { endlessCommand } from "./kinds.ts";
import { type SessionPlan, projectSlot, type AfterDeath, type Chat, type EndsIn } from "./plan.ts";
import { RestoreRig, git } from "./restore-rig.ts";
import { shimTool, bash } from "./story.ts";

const hookContext = /(?:SessionStart|UserPromptSubmit)(?::\w+)? hook additional context: /;
/** What the client itself writes after the context of the hooks. */
const clientText =
  /\n+# Environment\n|\n<\/?system-reminder>|\n+(?:\w+)(?::\w+)? hook (?:additional context|success): /;

/** What hooks of SHIM put into the context of the chat's first request; "" where there was nothing. */
function briefIn(model: ScriptedModel): string {
  const request = model.requests.find(({ kind }) => kind === "loop");
  const contexts = (request?.messages ?? []).flatMap(({ text }) => text.split(hookContext).slice(1));
  const briefs = contexts.map((text) => text.split(clientText)[0] ?? "").filter((text) => /\bSHIM\b/.test(text));
  const brief = briefs.join("\n").trim();
  if (brief.includes("You have been invoked in the following environment")) throw new Error("the brief has no end");
  return brief;
}

/** The session of a hint: one line that names the tool to ask. */
function sessionInHint(context: string): string | null {
  if (context.includes("\n")) return null;
  return /shim_check_recovery \(of "(?<id>[^"]+)"/.exec(context)?.groups?.["id"] ?? null;
}

/** The last result of a tool in the chat's last request; of an answer in JSON its longest text. */
function toolResultIn(model: ScriptedModel): string {
  const request = model.requests.findLast(({ kind }) => kind === "loop");
  const text = request?.messages.findLast(({ role }) => role === "user")?.text ?? "";
  const texts = [text, ...text.split("\n")].flatMap((line) => textsIn(parseObject(line)));
  return texts.toSorted((a, b) => b.length - a.length)[0] ?? text;
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

/** How long nothing new has to arrive before the sync counts as up to date: a working session is sent every 5 s. */
const settledMs = 7_000;
const patienceMs = 60_000;
/** The coordinator takes a chat that was not heard of for 5 s for offline. */
const chatTtlMs = 5_000;
const offlineMs = chatTtlMs + 1_500;

/**
 * The session runs on one machine, which then loses power; the next chat is on another machine of the workspace. There the
 * brief is what `shim_check_recovery` answers when the chat takes the session: the hook alone gives a line.
 */
async function playOnTwoMachines(
  plan: SessionPlan,
  runToDeath: (rig: RestoreRig, beforeDeath: (session: string | null) => Promise<void>) => Promise<string | null>,
): Promise<string> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "shim-restore-")));
  const origin = new RestoreRig({
    home: join(root, "home"),
    project: join(root, "origin"),
    shimHome: join(root, "shim"),
  });
  const machines: RestoreRig[] = [];
  let rig: SyncRig | null = null;
  try {
    rig = await SyncRig.open(join(root, "yard"));
    const settings = { chatTtlMs, interactiveGraceMs: 1_000, lostSocketGraceMs: 1_000 };
    await rig.edge.call("settings.set", { settings });
    origin.makeProject(plan.files);
    const [there, here] = [await rig.machine("desktop", origin.project), await rig.machine("laptop", origin.project)];
    machines.push(...[there, here].map(rigOf));
    const [first, second] = machines as [RestoreRig, RestoreRig];
    first.nameUser();
    const { edge } = rig;
    const session = await runToDeath(first, async (id) => {
      await settled(async () => {
        const { sessions } = await edge.call("sync.list", { session: id ?? "" });
        return JSON.stringify(sessions.map(({ version }) => version));
      });
    });
    await pause(offlineMs);
    return await takenOver(second, session ?? "");
  } finally {
    await rig?.close();
    for (const rig of [...machines, origin]) await rig.remove();
  }
}

/** What the tool answers when a chat takes the session that a hook has only named. */
async function takenOver(rig: RestoreRig, session: string): Promise<string> {
  const steps: Step[] = [shimTool("shim_check_recovery", { of: session, take: true }), { text: "I have it." }];
  const model = await startScriptedModel({ steps });
  const chat = new ChatProcess({ rig, modelUrl: model.url, driver: "stream", env: {} });
  await chat.turn("hello");
  const [context, answer] = [briefIn(model), toolResultIn(model)];
  await chat.finish();
  await model.close();
  return context.split("\n").length > answer.split("\n").length ? context : answer;
}

function rigOf({ env, project }: Machine): RestoreRig {
  return new RestoreRig({ home: env["HOME"] ?? "", project, shimHome: env["SHIM_HOME"] ?? "" });
}

/** Resolves when what `read` gives has been the same for a while. */
async function settled(read: () => Promise<string>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  let [last, since] = ["", performance.now()];
  while (performance.now() < deadline) {
    const now = await read();
    if (now !== last) [last, since] = [now, performance.now()];
    if (performance.now() - since >= settledMs && now !== "[]") return;
    await pause(250);
  }
  throw new Error(`the sync did not settle: ${last}`);
}

const endless = bash(endlessCommand);
const held = "the end";

/** Runs a session to its death with the real client, starts the next chat, and reads what SHIM gave to it. */
export async function play(plan: SessionPlan): Promise<string> {
  if (plan.isOnOtherMachine) return playOnTwoMachines(plan, (rig, beforeDeath) => runToDeath(plan, rig, beforeDeath));
  const rig = RestoreRig.make(plan.files);
  try {
    await runToDeath(plan, rig);
    for (const one of plan.after) afterDeath(rig, one);
    const model = await startScriptedModel({ steps: [{ text: "Hello." }] });
    const next = new ChatProcess({ rig, modelUrl: model.url, driver: plan.driver, env: plan.env });
    await next.turn("hello");
    const context = briefIn(model);
    await next.finish();
    await model.close();
    const hinted = sessionInHint(context);
    return hinted ? await takenOver(rig, hinted) : context;
  } finally {
    await rig.remove();
  }
}

type BeforeDeath = (session: string | null) => Promise<void>;

/** @returns the id of the session; null where only the screen knows it */
async function runToDeath(plan: SessionPlan, rig: RestoreRig, beforeDeath?: BeforeDeath): Promise<string | null> {
  if (plan.branch !== "main") git(rig.project, "checkout", "-q", "-b", plan.branch);
  const model = await modelOf(plan.main, rig, lastSteps[plan.endsIn]);
  const other = plan.other && (await otherChat(plan.other.chat, rig));
  try {
    const chat = await converse(plan, rig, model);
    if (plan.other?.fate === "finished") await other?.process.finish();
    await bringToEnd(plan.endsIn, chat, model, rig);
    await beforeDeath?.(chat.session);
    await chat.end(plan.endsBy);
    return chat.session;
  } finally {
    await model.close();
    await other?.model.close();
  }
}

const lastSteps: Record<EndsIn, readonly Step[]> = {
  idle: [],
  tool: [{ ...endless, text: "On it." }],
  answer: [{ hold: held, text: "On it." }],
};

async function bringToEnd(endsIn: EndsIn, chat: ChatProcess, model: ScriptedModel, rig: RestoreRig): Promise<void> {
  if (endsIn === "idle") return;
  await chat.send("go on");
  if (endsIn === "answer") await model.held(held);
  else await untilFound(() => isToolRunning(rig) || null, "the endless tool");
}

async function converse(plan: SessionPlan, rig: RestoreRig, model: ScriptedModel): Promise<ChatProcess> {
  const options = { rig, modelUrl: model.url, driver: plan.driver, env: plan.env };
  let chat = new ChatProcess(options);
  for (const part of plan.main.parts) {
    if (part.do === "turn") await chat.turn(part.turn.prompt, part.turn.answers);
    else if (part.do === "clear") await chat.clear();
    else {
      const id = chat.session ?? "";
      await (part.isKilled ? chat.end("kill client") : chat.finish());
      chat = new ChatProcess({ ...options, args: part.flag === "--resume" ? ["--resume", id] : ["--continue"] });
    }
  }
  return chat;
}

async function otherChat(chat: Chat, rig: RestoreRig) {
  const model = await modelOf(chat, rig, []);
  const process = new ChatProcess({ rig, modelUrl: model.url, driver: "stream", env: {} });
  for (const part of chat.parts) if (part.do === "turn") await process.turn(part.turn.prompt);
  return { model, process };
}

function modelOf(chat: Chat, rig: RestoreRig, last: readonly Step[]): Promise<ScriptedModel> {
  const steps = chat.parts.flatMap((part) => (part.do === "turn" ? part.turn.steps : []));
  return startScriptedModel({ steps: [...steps, ...last].map((step) => inProject(step, rig)) });
}

function inProject(step: Step, rig: RestoreRig): Step {
  return JSON.parse(JSON.stringify(step).replaceAll(projectSlot, rig.project)) as Step;
}

function isToolRunning(rig: RestoreRig): boolean {
  return rig.processes().some(({ command }) => command.startsWith("sleep 600"));
}

function afterDeath(rig: RestoreRig, one: AfterDeath): void {
  if (one.do === "checkout") git(rig.project, "checkout", "-q", "-b", one.branch);
  else if (one.do === "lose-transcript") loseTranscripts(rig);
  else if (one.do === "delete") rmSync(join(rig.project, one.path));
  else rig.write({ [one.path]: one.content });
}

function loseTranscripts({ home }: RestoreRig): void {
  rmSync(join(home, ".claude/projects"), { recursive: true, force: true });
}
