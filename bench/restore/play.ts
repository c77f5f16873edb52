import { rmSync } from "node:fs";
import { join } from "node:path";
import { untilFound } from "../../test/harness/claude/claude-code.ts";
import { startScriptedModel, type ScriptedModel, type Step } from "../../test/harness/claude/scripted-model.ts";
import { ChatProcess } from "./chat-process.ts";
import { endlessCommand } from "./kinds.ts";
import { projectSlot, type AfterDeath, type Chat, type EndsIn, type SessionPlan } from "./plan.ts";
import { RestoreRig, git } from "./restore-rig.ts";
import { bash } from "./story.ts";
import { briefIn, sessionInHint, playOnTwoMachines, takenOver } from "./next-chat.ts";

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
