import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { handoverMs } from "../../../contract/sealed-boxes.ts";
import type { Given, Taken } from "../../../contract/machine/handover.ts";
import type { CheckedMachineInput } from "../../../contract/machine/operations.ts";
import { writeAtomically } from "../../../platform/private-files.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { codeOf } from "../../../shared/error.ts";
import { err, fail, ok, type Result } from "../../../shared/result.ts";
import { askedWorkMs } from "../../../snapshots/git.ts";
import { projectRoot } from "../../../snapshots/git-head.ts";
import { restoreFiles } from "../../../snapshots/restore-files.ts";
import { restoreWorktree } from "../../../snapshots/worktrees.ts";
import type { EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { GivenRelay } from "../../../coordinator-client/handover-relay.ts";
import { rememberGiven } from "../handover/watch.ts";
import { receiveHandover, sendHandover, type ReceivedHandover } from "../handover/relay.ts";
import { adopt, hasTaken, refusalOf } from "../handover/adopt.ts";
import { collectHandover, type Collected } from "../handover/collect.ts";
import {
  fromFileText,
  handoverKey,
  handoverSecretBytes,
  openHandover,
  parseHandoverCode,
  sealHandover,
  toFileText,
  type CarriedConversation,
  type HandoverKey,
  type HandedOver,
} from "../handover/package.ts";
import { movePath } from "../../recovery/incomplete/restoration.ts";
import * as sessions from "../../sessions/sessions.ts";
import { requireCoordinator } from "../../sharing/operations/membership.ts";
import { makeNative, targetOf } from "../../recovery/operations/native-handlers.ts";
import { inNewWorktree, type WrittenFiles } from "../../files/new-worktree.ts";
import type { HandlerContext, Handlers } from "../../recovery/handler-context.ts";
import { catchUpWith, record } from "../../recovery/operations/recovery-handlers.ts";
import { findHere, namesOf, projectOfFolder } from "../../recovery/resolve-id.ts";

/** Larger than any hand-over: 256 envelopes of 350 KB. */
const maxFileBytes = 100_000_000;
const fileLifetimeMs = 604_800_000;

export const handoverHandlers: Pick<Handlers, "handover.give" | "handover.withdraw" | "handover.take"> = {
  async "handover.give"(context, input) {
    const { session: id, folder, file, native } = input;
    const runtime = await context.runtime();
    const found = id === undefined ? newestOf(runtime, folder) : await findHere(context, id);
    if (!found.ok) return found;
    if (file !== undefined && existsSync(file)) return fail("file_exists", `${file} exists: name a new file.`);
    const edge = file === undefined ? edgeOf(runtime, input.until) : ok(null);
    if (!edge.ok) return edge;
    await catchUpWith(context, { session: found.value.id });
    const session = runtime.store.read((sql) => sessions.get(sql, found.value.id), null) ?? found.value;
    context.progress?.("Saving the session and its files ...");
    const forMs = input.until ?? (file === undefined ? handoverMs.default : fileLifetimeMs);
    const until = runtime.now() + forMs;
    const options = { machine: hostname(), until, withConversation: native };
    const collected = await collectHandover(runtime, session, options);
    const names = namesOf(runtime, session);
    if (!collected.ok) return refuseGive(names.shortId, collected.error);
    const { given } = collected.value;
    const stored = await sealAndStore(context, runtime, { given, edge: edge.value, file, forMs });
    if (!stored.ok) return refuseGive(names.shortId, stored.error);
    record(context, runtime, "session.given", session.id);
    return ok({ ...names, ...stored.value, until, ...contentOf(collected.value) });
  },

  async "handover.withdraw"(context, { session: id, folder }) {
    const runtime = await context.runtime();
    const found = id === undefined ? newestOf(runtime, folder) : await findHere(context, id);
    if (!found.ok) return found;
    const edge = edgeOf(runtime);
    if (!edge.ok) return edge;
    const ended = await new GivenRelay(edge.value).end({ subject: found.value.id });
    if (!ended.ok) return fail("edge_unreachable", `${ended.error.message}.`);
    return ok({ ...namesOf(runtime, found.value), ...ended.value });
  },

  async "handover.take"(context, input) {
    const runtime = await context.runtime();
    const received = await receive(runtime, input);
    if (!received.ok) return received;
    const { given, finish } = received.value;
    const refusal = refusalOf(runtime, given);
    if (refusal !== null) return refuseTake(refusal);
    const carried = input.native ? conversationFor(context, given, input.client) : ok(null);
    if (!carried.ok) return carried;
    context.progress?.("Writing the files ...");
    const written = await writeGivenFiles(runtime, given, input);
    if (!written.ok) return err({ ...written.error, message: `${written.error.message}. Nothing was taken.` });
    const taken = await store(context, runtime, { given, written: written.value, carried: carried.value });
    if (taken.ok) await finish();
    return taken;
  },
};

function contentOf({ given, withoutFiles }: Collected): Pick<Given, "files" | "hasConversation" | "held"> {
  return {
    files: { missing: withoutFiles, leftOut: given.files?.leftOut ?? [], isUnpushed: isUnpushed(given) },
    hasConversation: given.conversation !== null,
    held: given.held ?? null,
  };
}

/** Where the project has a remote: what another clone lacks is not known otherwise. */
function isUnpushed({ files, head }: HandedOver): boolean {
  return files !== null && head !== null && files.needs.length > 0 && !files.needs.includes(head);
}

interface Taking {
  readonly given: HandedOver;
  readonly written: AdoptedFiles;
  /** Absent (null) where the brief stands for the conversation. */
  readonly carried: Carried | null;
}

async function store(
  context: HandlerContext,
  runtime: Runtime,
  { given, written, carried }: Taking,
): Promise<Result<Taken>> {
  const { files, adopted: folder } = written;
  const isRepeated = hasTaken(runtime, given, folder);
  const adopted = isRepeated ? ok({ isAgain: false }) : adopt(runtime, given, folder);
  if (!adopted.ok) return refuseTake(adopted.error);
  if (!isRepeated) record(context, runtime, "session.taken", given.id);
  const session = runtime.store.read((sql) => sessions.get(sql, given.id), null);
  if (session === null) return refuseTake("it was deleted meanwhile");
  const native =
    carried === null
      ? ok(null)
      : await makeNative(runtime, { session, ...carried, cwd: folder.cwd, handedOver: given });
  if (!native.ok) return native;
  return ok({
    ...namesOf(runtime, session),
    from: given.machine,
    givenAt: given.givenAt,
    isRepeated,
    isAgain: adopted.value.isAgain,
    folder: folder.cwd,
    branch: files?.branch ?? null,
    hasFiles: files !== null,
    leftOut: given.files?.leftOut ?? [],
    notRestored: files?.notRestored ?? [],
    native: native.value,
    held: given.held ?? null,
  });
}

type Carried = Pick<Parameters<typeof makeNative>[1], "target" | "conversation">;
type Input = CheckedMachineInput<"handover.take">;

function newestOf(runtime: Runtime, folder: string): Result<sessions.Session> {
  const project = projectOfFolder(runtime, folder);
  const [newest] = runtime.store.read((sql) => sessions.list(sql, { project, limit: 1 }), []);
  if (newest) return ok(newest);
  return fail("not_found", `no session of ${project} is stored. \`shim sessions\` lists all.`);
}

function refuseGive(shortId: string, why: string): Result<never> {
  return fail("not_given", `${shortId} was not handed over: ${why}.`);
}

function refuseTake(why: string): Result<never> {
  return fail("not_taken", `The session was not taken: ${why}. Nothing was changed.`);
}

type Stored = Pick<Given, "sealed" | "link">;

interface Storing {
  readonly given: HandedOver;
  /** Coordinator that holds it; null: the file does. */
  readonly edge: EdgeConfig | null;
  readonly file: string | undefined;
  readonly forMs: number;
}

/** Seals it under a key of its own. @returns why it is neither at the coordinator nor in a file */
async function sealAndStore(
  { progress }: HandlerContext,
  { random, store: machine }: Runtime,
  { given, edge, file = "", forMs }: Storing,
): Promise<Result<Stored & Pick<Given, "bytes">, string>> {
  const key = handoverKey(Uint8Array.from(random(handoverSecretBytes)));
  const sealed = sealHandover(given, key, random);
  if (!sealed.ok) {
    const hint = given.conversation === null ? "" : "give it without --native, or ";
    return err(`it has ${sealed.error.bytes} bytes, too many: ${hint}lower sync.maxFilesBytes`);
  }
  const text = toFileText(sealed.value);
  const bytes = text.length;
  if (edge === null) {
    const written = writeNew(file, text, key);
    return written.ok ? ok({ ...written.value, bytes }) : written;
  }
  progress?.("Sending it to the coordinator ...");
  const sent = await sendHandover(edge, { key, session: given.id, envelopes: sealed.value, forMs });
  if (!sent.ok) return sent;
  const { id, link } = sent.value;
  machine.write((sql) => rememberGiven(sql, id, { session: given.id, until: given.until }));
  return ok({ sealed: null, link, bytes });
}

/** @returns why the file was not written */
function writeNew(file: string, text: string, { code }: HandoverKey): Result<Stored, string> {
  try {
    writeAtomically(file, text, { isNew: true });
    return ok({ sealed: { file, code }, link: null });
  } catch (error) {
    return err(`${file} could not be written (${codeOf(error) ?? String(error)})`);
  }
}

/** The coordinator that can hold a hand-over for this time, in ms. */
function edgeOf({ paths, env }: Runtime, forMs: number = handoverMs.default): Result<EdgeConfig> {
  if (forMs < handoverMs.min || forMs > handoverMs.max)
    return fail("bad_input", "a link works for 10 seconds to a week: give --until in between.");
  const without =
    "a link needs a coordinator, and this machine is in no workspace: `shim give --file <file>` needs none, `shim workspace join <name>` joins one.";
  return requireCoordinator(paths.home, env, without);
}

/** Text that the caller has typed: the code of a file, or a link. */
async function receive(runtime: Runtime, input: Input): Promise<Result<ReceivedHandover>> {
  if (input.file !== undefined) {
    const opened = openFile(input.file, input.code);
    return opened.ok ? ok({ given: opened.value, finish: () => Promise.resolve() }) : opened;
  }
  const received = await receiveHandover(runtime, input.code ?? "");
  return received.ok ? received : refuseTake(received.error);
}

function openFile(file: string, code: string | undefined): Result<HandedOver> {
  const read = readGiven(file);
  if (!read.ok) return read;
  if (code === undefined || code.trim() === "")
    return fail("key_needed", "the code that `shim give` printed is needed (shimgive-...).");
  const key = parseHandoverCode(code);
  if (!key.ok) return fail("key_unusable", `${key.error}.`);
  const opened = openHandover(read.value, key.value);
  return opened.ok ? opened : refuseTake(`${file}: ${opened.error}`);
}

function readGiven(file: string): Result<string[]> {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (!stats?.isFile()) return fail("not_found", `there is no file ${file}.`);
  if (stats.size > maxFileBytes) return refuseTake(`${file}: it is too large to be a hand-over of SHIM`);
  const envelopes = fromFileText(readFileSync(file, "utf8"));
  return envelopes.ok ? envelopes : refuseTake(`${file}: ${envelopes.error}`);
}

/** The conversation, with the client that is to have it; found out before anything is written. */
function conversationFor(
  context: HandlerContext,
  { id, session, conversation, machine }: HandedOver,
  client: string | undefined,
): Result<Carried> {
  if (conversation === null) {
    const message = `the conversation did not come with it: \`shim give ${id} --native\` on ${machine}, or leave --native out here. Nothing was taken.`;
    return fail("bad_input", message);
  }
  const target = targetOf(context, client ?? session.client);
  return target.ok ? ok({ target: target.value, conversation: toConversation(conversation) }) : target;
}

function toConversation({ lost, ...carried }: CarriedConversation): Parameters<typeof makeNative>[1]["conversation"] {
  return { ...carried, parent: null, lost: new Map(lost) };
}

interface AdoptedFiles {
  /** Absent (null) where no files came. */
  readonly files: WrittenFiles | null;
  readonly adopted: Parameters<typeof adopt>[2];
}

/** In a worktree of the folder's project, or as a copy in a folder that was named. */
async function writeGivenFiles(
  runtime: Runtime,
  given: HandedOver,
  { folder, into }: Input,
): Promise<Result<AdoptedFiles>> {
  const { id, session, machine, givenAt, files, head, bundle } = given;
  const project = projectRoot(folder) ?? folder;
  const adoptedIn = (root: string) => ({ project: root, cwd: movedTo(session, root) });
  if (files === null || bundle === null) return ok({ files: null, adopted: adoptedIn(project) });
  const copy = into !== undefined && existsSync(into) ? realpathSync(into) : null;
  if (copy !== null && hasTaken(runtime, given, adoptedIn(copy)))
    return ok({ files: { folder: copy, branch: null, notRestored: [] }, adopted: adoptedIn(copy) });
  const { env, processes, paths } = runtime;
  const { commit, needs } = files;
  const of = `${id} of ${machine} at ${givenAt}`;
  const received = { env, processes, snapshots: paths.snapshots, commit, bundle, needs, project };
  const limits = { timeoutMs: askedWorkMs };
  const written = await (into === undefined
    ? inNewWorktree(runtime, { name: `take-${id.slice(0, 8)}`, of, project, head }, (target, branch, marked) =>
        restoreWorktree({ ...received, ...limits, env: marked, head, folder: target, branch }),
      )
    : copyInto(into, () => restoreFiles({ ...received, ...limits, into })));
  if (!written.ok) {
    const { code, message } = written.error;
    const hints: Readonly<Record<string, string>> = {
      not_a_work_tree: `: run this in a clone of the project${nameOf(session.project)}`,
      commit_missing: `: push it on ${machine} and fetch it here, or \`shim take --into <folder>\` makes a copy`,
    };
    const hint = hints[code] ?? "";
    return fail(code, `${message}${hint}`);
  }
  return ok({ files: written.value, adopted: adoptedIn(written.value.folder) });
}

async function copyInto(into: string, restore: () => ReturnType<typeof restoreFiles>): Promise<Result<WrittenFiles>> {
  const restored = await restore();
  if (!restored.ok) return restored;
  return ok({ folder: realpathSync(into), branch: null, notRestored: restored.value.notRestored });
}

/** The session's folder in the project here; the project itself where that is not there. */
function movedTo({ cwd, project }: HandedOver["session"], root: string): string {
  const moved = cwd === null ? root : movePath(cwd, project, root);
  return moved !== cwd && existsSync(moved) ? moved : root;
}

function nameOf(project: string | null): string {
  const name = project?.split(/[/\\]/).at(-1) ?? "";
  return name === "" ? "" : ` (${name})`;
}
