import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { startScriptedModel, type ModelRequest, type Step } from "../../test/harness/claude/scripted-model.ts";
import { SyncRig, type Machine } from "../sync-rig.ts";
import { RestoreRig } from "./restore-rig.ts";
import { briefIn, toolResultIn } from "./brief-in.ts";
import { ChatProcess } from "./chat-process.ts";
import { inClient } from "./client-steps.ts";
import { isOtherClient, otherClients } from "./other-clients.ts";
import type { Driver, SessionPlan } from "./plan.ts";
import { shimTool } from "./story.ts";

/** How long nothing new has to arrive before the sync counts as up to date: a working session is sent every 5 s. */
const settledMs = 7_000;
const patienceMs = 60_000;
const serverStartMs = 500;
/** The coordinator takes a chat that was not heard of for 5 s for offline. */
const chatTtlMs = 5_000;
const offlineMs = chatTtlMs + 1_500;

/**
 * The session runs on one machine, which then loses power; the next chat is on another machine of the workspace. There the
 * brief is what `shim_check_recovery` answers when the chat takes the session: the hook alone gives a line.
 */
export async function playOnTwoMachines(
  plan: SessionPlan,
  runToDeath: (rig: RestoreRig, beforeDeath: (session: string | null) => Promise<void>) => Promise<string | null>,
): Promise<string> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "shim-restore-")));
  const origin = new RestoreRig({
    home: join(root, "home"),
    project: join(root, "origin"),
    shimHome: join(root, "shim"),
  });
  const desks: RestoreRig[] = [];
  let rig: SyncRig | null = null;
  try {
    rig = await SyncRig.open(join(root, "yard"));
    const settings = { chatTtlMs, interactiveGraceMs: 1_000, lostSocketGraceMs: 1_000 };
    await rig.edge.call("settings.set", { settings });
    origin.makeProject(plan.files);
    const [there, here] = [await rig.machine("desktop", origin.project), await rig.machine("laptop", origin.project)];
    desks.push(...[there, here].map(deskOf));
    const [first, second] = desks as [RestoreRig, RestoreRig];
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
    for (const rig of [...desks, origin]) await rig.remove();
  }
}

/** What the tool answers when a chat takes the session that a hook has only named. */
export async function takenOver(rig: RestoreRig, session: string, driver: Driver = "stream"): Promise<string> {
  const tools = isOtherClient(driver) ? otherClients[driver].tools(rig.project) : null;
  const take = shimTool("shim_check_recovery", { of: session, take: true });
  const call = tools ? inClient(take, tools) : take;
  let isCalled = false;
  const nextStep = ({ messages }: ModelRequest): Step => {
    // Qwen Code begins a chat before its MCP servers are connected; a model calls again.
    const isTooEarly = messages.at(-1)?.text.includes("not found in registry");
    if (isCalled && !isTooEarly) return { text: "I have it." };
    isCalled = true;
    return isTooEarly ? { ...call, waitMs: serverStartMs } : call;
  };
  const model = await startScriptedModel({ threads: [{ steps: nextStep }] });
  const chat = new ChatProcess({ rig, modelUrl: model.url, driver, env: {} });
  await chat.turn("hello");
  const [context, answer] = [briefIn(model), toolResultIn(model)];
  await chat.finish();
  await model.close();
  return context.split("\n").length > answer.split("\n").length ? context : answer;
}

function deskOf({ env, project }: Machine): RestoreRig {
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
