import { defect, type Mutant } from "./defect.ts";
import { undoMutants } from "./undo-mutants.ts";

/** `npm run test:mutants` plants each, and says which test catches it. */
export const mutants: readonly Mutant[] = [
  defect(2, "src/machine/sessions/journal.ts", "a second report replaces the first", [
    "ON CONFLICT (session, key) DO NOTHING`",
    "ON CONFLICT (session, key) DO UPDATE SET body = excluded.body`",
  ]),
  defect(4, "src/store/driver.ts", "a power cut loses the last commits", [
    "PRAGMA synchronous = FULL;",
    "PRAGMA synchronous = NORMAL;",
  ]),
  defect(4, "src/store/driver.ts", "what a failed write has done so far is kept", [
    'connection.run("ROLLBACK");',
    'connection.run("COMMIT");',
  ]),
  defect(4, "src/store/write-mark.ts", "a store that lost its newest writes is taken for a sound one", [
    "const lost = mark.number - present.number;",
    "const lost = 0;",
  ]),
  defect(5, "src/platform/errno.ts", "a quota that is used up is told as a file that cannot be opened", [
    'return isQuota ? "EDQUOT" : codeOf(error);',
    "return codeOf(error);",
  ]),
  defect(5, "src/store/open-driver.ts", "a disk without locks is taken for one on which another host runs", [
    "    if (lock) return lock.close();",
    "    return lock?.close();",
  ]),
  defect(6, "src/store/repair.ts", "rows newer than the backup are lost with a damaged file", [
    "const report = salvage(context, damaged, connection);",
    "const report = salvage(context, null, connection);",
  ]),
  defect(7, "src/store/store.ts", "a row goes to a file that was replaced meanwhile", [
    "else if (this.#findOpenConnection() === null) committed = written;",
    "else if (committed) committed = written;",
  ]),
  defect(8, "src/store/store.ts", "a chat that its user closed has died after a migration", [
    "CASE detachReason WHEN 'closed' THEN 'asked'",
    "CASE detachReason WHEN 'closed' THEN 'front'",
  ]),
  defect(
    9,
    "src/machine/view/keeping/retention.ts",
    "a full store deletes the last checkpoint of a session to recover",
    [
      "removeCheckpoints(sql, `seq < ${newestSeqSql}`, [], step);",
      "removeCheckpoints(sql, `seq <= ${newestSeqSql}`, [], step);",
    ],
  ),
  defect(11, "src/store/spool.ts", "an event that cannot be applied yet is deleted", [
    "    tryRename(begun, path);\n    throw error;",
    "    rmSync(begun, { force: true });\n    throw error;",
  ]),
  defect(11, "src/store/spool.ts", "an event whose reader was killed twice is never stored", [
    "isDue) tryRename(path",
    "isDue && false) tryRename(path",
  ]),
  defect(13, "src/store/checkpoint-body.ts", "a changed checkpoint is taken for a sound one", [
    '  if (hashOf(json) !== hash) throw new Error("the body does not match its hash");\n',
    "",
  ]),
  defect(14, "src/machine/sessions/checkpoints/capture.ts", "a save forgets what another process has saved since", [
    "if (last && cached?.checkpointId === last.id && cached.hash === last.hash) {",
    "if (last && cached) {",
  ]),
  defect(
    18,
    "src/machine/sessions/checkpoints/checkpoints.ts",
    "a second tool runs while the turn's first files are saved",
    ["coalesce(s.state, '') <> 'running'", "1"],
  ),
  defect(21, "src/machine/recovery/session-state.ts", "a chat that left work open is shown as one that did not", [
    'ending?.how === "closed" && !ending.isOpen',
    'ending?.how === "closed"',
  ]),
  defect(22, "src/machine/sessions/life/claim.ts", "an offer stays with a chat that has died", [
    'chat.ending?.how === "ended" || isDead(machine, chat)',
    'chat.ending?.how === "ended"',
  ]),
  defect(23, "src/machine/sessions/ending/death.ts", "a chat that was closed with nothing open is counted as dead", [
    "detail === null || !isOpen ||",
    "detail === null ||",
  ]),
  defect(23, "src/local-mcp/events/session-bounds.ts", "what is reported after an end does not change what it was", [
    'on: ["SessionEnd", "ending"],',
    'on: ["SessionEnd"],',
  ]),
  defect(23, "src/contract/chat-state.ts", "a chat that was silent for long is called dead", [
    'return presence.is === "gone"',
    'return presence.is !== "alive"',
  ]),
  defect(23, "src/machine/sessions/life/presence.ts", "a chat in a container that shares the home is called dead", [
    "if (owner !== null && isOwnerSeen(machine, session)) return",
    "if (owner !== null) return",
  ]),
  defect(27, "src/machine/sessions/prompts.ts", "the event of a prompt that its row has reported is a second prompt", [
    "isEvent ? isOfRowAlone : hasNoRow",
    "hasNoRow",
  ]),
  defect(27, "src/machine/sessions/transcripts/record-transcript.ts", "a prompt without its event is lost", [
    "isOfSession(session, text, now)) recordPrompt(",
    "sessions.isFirstSeenResumed(session)) recordPrompt(",
  ]),
  defect(28, "src/machine/sessions/news.ts", "words that were handed on do not come back with an undo", [
    "AND (session = ? OR key GLOB ?)`;",
    "AND (session = ? OR key = ?)`;",
  ]),
  defect(28, "src/machine/sessions/recoveries.ts", "words that wait are lost with their chat", [
    'if (to && action !== "offered" && action !== "mentioned")',
    'if (to && action === "undone")',
  ]),
  defect(29, "src/clients/read-transcript.ts", "bytes of a document that are no text are taken for it", [
    'const reading = { formatOf, isDecoded: damage !== "not_utf8" };',
    "const reading = { formatOf, isDecoded: true };",
  ]),
  defect(
    29,
    "src/machine/recovery/rescue/session-facts.ts",
    "a chat that lacks the calls of its results counts as whole",
    ["unlinked: chain.unlinked ?? this.#withoutCalls(),", "unlinked: chain.unlinked,"],
  ),
  defect(29, "src/clients/claude-code/earlier-end.ts", "a file whose beginning is elsewhere counts as whole", [
    "return this.#first && (this.#hasStart || this.#isNoted) ?",
    "return this.#first ?",
  ]),
  defect(
    35,
    "src/machine/sessions/effects/repeat-guard.ts",
    "a command that has perhaps run is repeated without a question",
    ['return outcome === "done" || (outcome === "unknown" && !isOnce);', 'return outcome === "done";'],
  ),
  defect(
    35,
    "src/machine/sessions/checkpoints/capture.ts",
    "of a long chain of chats the newest effects are forgotten",
    [".slice(-maxEffects);", ".slice(0, maxEffects);"],
  ),
  defect(39, "src/machine/team/file-guard.ts", "the reservation of a folder holds for none of its files", [
    "const names = namesAbove(`file:${project}/${path}`).slice(0, maxNames);",
    "const names = [`file:${project}/${path}`];",
  ]),
  defect(38, "src/installer/entries.ts", "a client refuses each prompt and tool call once SHIM's folder is gone", [
    '`(. "$0") 2>/dev/null${otherwise}; exit 0`',
    '`. "$0"${otherwise}`',
  ]),
  defect(38, "src/installer/entries.ts", "nobody learns that SHIM is gone and the chat is not saved", [
    'event === "SessionStart" ? JSON.stringify(',
    'event === "" ? JSON.stringify(',
  ]),
  defect(38, "src/installer/client-entries.ts", "each tool call shows two errors where SHIM's server was left out", [
    'const needsServer = platform === "win32"',
    "const needsServer = version !== null",
  ]),
  defect(10, "src/clients/read-transcript.ts", "what was forgotten is read again for a brief or a recall", [
    "{ maxBytes: most, ...limits, format }",
    "{ maxBytes: most, format }",
  ]),
  defect(40, "src/machine/sessions/session-settings.ts", "what was said in a pause is read from the transcript", [
    "return { minOffset, isExcluded: (at, cwd) => isInPause(at, [cwd, folder]) };",
    "return { minOffset };",
  ]),
  defect(42, "src/installer/apply.ts", "half of a set-up stays when the other half fails", [
    "if (failure) return err(rollBack(plan.edits.slice(0, at), failure, backup));",
    "if (failure) return err(failure);",
  ]),
  defect(46, "src/local-mcp/front/front.ts", "a tool that must not be repeated runs twice", [
    "(deaths >= maxDeaths || !isRepeatable(request, repeatable))",
    "deaths >= maxDeaths",
  ]),
  defect(47, "src/local-mcp/mcp/server.ts", "a save that failed is answered as if it had succeeded", [
    'return { isError: true, content: [{ type: "text", text: withCommand(chat, text) }] };',
    'return { content: [{ type: "text", text: withCommand(chat, text) }] };',
  ]),
  defect(48, "src/local-mcp/host/host-address.ts", "a host whose socket was removed is never found again", [
    "if (isPipe(socket) || this.#inode === null ||",
    "if (isPipe(socket) || this.#wasStated || this.#inode === null ||",
  ]),
  defect(48, "src/platform/host-socket.ts", "a caller starts a second host beside one that lives, and finds neither", [
    "return process.kill(host.pid, recallSignal);",
    "return false;",
  ]),
  defect(50, "src/coordination/chats/liveness.ts", "a chat that went silent loses at once what it may still trust", [
    "else leases.freezeAllOf(tx, row.chat);",
    "else leases.releaseAllOf(tx, row);",
  ]),
  defect(51, "src/coordination/state/state.ts", "a guarded write is accepted without its lease", [
    "checkKeys(writes) ?? this.#checkGuards(guards)",
    "checkKeys(writes)",
  ]),
  defect(52, "src/coordination/leases/leases.ts", "a request passes those that wait for what overlaps it", [
    "overlap.held.length + overlap.delays.length + ahead > 0",
    "overlap.held.length + overlap.delays.length > 0",
  ]),
  defect(53, "src/coordination/leases/lease-rows.ts", "a lease is held at its last instant", [
    "return expiresAt(tx, row) > tx.now;",
    "return expiresAt(tx, row) >= tx.now;",
  ]),
  defect(54, "src/coordination/leases/lease-rows.ts", "another process of the chat renews and releases its leases", [
    "`WHERE resource ${text} AND +holder = ? AND incarnation = ?`,\n    value,\n    chat,\n    incarnation,",
    "`WHERE resource ${text} AND +holder = ?`,\n    value,\n    chat,",
  ]),
  defect(55, "src/coordination/leases/leases.ts", "a lease is granted in the quiet time after a restore", [
    "const isFree = tx.quietUntil <= tx.now && areFree",
    "const isFree = areFree",
  ]),
  defect(56, "src/coordination/leases/lease-grants.ts", "the next one leads while a vanished leader may still act", [
    "if (row.lockDelayMs > 0 && until > tx.now)",
    "if (row.lockDelayMs > tx.now && until > tx.now)",
  ]),
  defect(57, "src/coordination/kernel/chat-rows.ts", "a process that was replaced acts on", [
    "if (row.incarnation !== self.incarnation) {",
    "if (row.incarnation < self.incarnation) {",
  ]),
  defect(60, "src/coordination/state/state.ts", "of two writers with one version both succeed", [
    "version !== ifVersion",
    "version < ifVersion",
  ]),
  defect(61, "src/coordination/kernel/changes.ts", "a page of a watch cuts an update of several keys", [
    "const page = wholeGroups(last > 0 ? found.slice(0, last) : found, prefix, limit);",
    "const page = wholeGroups(found.slice(0, limit), prefix, limit);",
  ]),
  defect(61, "src/durable/watches.ts", "a watch is not told of very many changes at once", [
    "keys === null || keys.some((key) => key.startsWith(prefix))",
    "keys?.some((key) => key.startsWith(prefix))",
  ]),
  defect(62, "src/coordination/kernel/idempotency.ts", "a machine gets the stored answer of another", [
    "`${operation} ${machine}\\n${by} ${requestId}`",
    "`${operation} ${by} ${requestId}`",
  ]),
  defect(63, "src/coordination/messages/unread.ts", "a heartbeat skips unread messages for good", [
    "pass(tx.sql, chat, at, rows[0] ? rows[0].id - 1 : upTo);",
    "pass(tx.sql, chat, at, upTo);",
  ]),
  defect(63, "src/coordination/messages/unread.ts", "a message that is sent later counts as acknowledged", [
    "id > minCursor && id <= newest)",
    "id > minCursor)",
  ]),
  defect(65, "src/coordination/tasks/lifecycle.ts", "a second claim has the number of the first", [
    "claim = max(claim, ?) + 1",
    "claim = max(claim, ? + 1)",
  ]),
  defect(66, "src/coordination/tasks/lifecycle.ts", "a task counts as running as soon as it is claimed", [
    'isStarted ? "running" : "assigned"',
    '"running"',
  ]),
  defect(67, "src/coordination/tasks/lifecycle.ts", "a task is tried once more than maxAttempts", [
    "failures >= maxAttempts",
    "failures > maxAttempts",
  ]),
  defect(69, "src/coordination/tasks/lifecycle.ts", "a task begins when one of its dependencies is done", [
    'found.every(isEnded) ? "free" : "blocked"',
    'found.length < needed.length || found.every(isEnded) ? "free" : "blocked"',
  ]),
  defect(70, "src/coordination/tasks/claims.ts", "a chat takes more tasks than its capacity", [
    "Math.min(options.limit, chat.capacity - held)",
    "Math.min(options.limit, chat.capacity)",
  ]),
  defect(72, "src/coordination/tasks/budgets.ts", "a chat begins a task at its limit", [
    "usage[name] >= (budget[name]",
    "usage[name] > (budget[name]",
  ]),
  defect(74, "src/coordination/due.ts", "a sweep that fails leaves half of its work", [
    "      atomically(work);",
    "      work();",
  ]),
  defect(75, "src/coordination/workspace/restore.ts", "a restore makes revoked tokens valid again", [
    "      if (table === one.name) for (const row of rows) one.insert(tx.sql, row as never);\n",
    "      if (table === one.name) for (const row of rows) one.insert(tx.sql, { ...row, revokedAt: null } as never);\n",
  ]),
  defect(80, "src/coordinator-client/edge/calls.ts", "a request that may have taken effect is reported as not sent", [
    "          request.mayHaveHappened ||= sent.isSent;\n",
    "",
  ]),
  defect(80, "src/coordinator-client/edge/calls.ts", "a call that is sent again takes effect twice", [
    '    if ("requestId" in schema.shape) fullInput["requestId"] ??= newId(this.#deps.platform);\n',
    "",
  ]),
  defect(90, "src/coordinator-client/edge/trust.ts", "a machine that slept works on a task that another may have", [
    "return Math.max(now.monotonic - since.monotonic, now.wall - since.wall);",
    "return now.monotonic - since.monotonic;",
  ]),
  defect(83, "src/machine/view/keeping/retention.ts", "what waits for the network is deleted with its old session", [
    "[crashes, teamChats, teamCalls, usageMessages, usageCosts]",
    "[crashes, teamChats, usageMessages, usageCosts]",
  ]),
  defect(86, "src/machine/sharing/envelope.ts", "a record of one device passes for that of another", [
    "JSON.stringify([workspace, kind, device, session, item])",
    "JSON.stringify([workspace, kind, session, item])",
  ]),
  defect(
    89,
    "src/coordination/sync/sync-put.ts",
    "parts of the complete bundle are deleted as ones of an unfinished upload",
    ["        if (complete?.bundle === bundle) continue;\n", ""],
  ),
  defect(90, "src/runner/worker/task-heartbeat.ts", "after a sleep a worker works on with a claim that has ended", [
    "const silentMs = elapsedMs(this.#confirmed.at, now);",
    "const silentMs = now.monotonic - this.#confirmed.at.monotonic;",
  ]),
  defect(93, "src/platform/run-program.ts", "a process that got the number of an ended one is killed", [
    "  if (found && !isSameProcess(found, group)) return false;\n",
    "",
  ]),
  defect(94, "src/platform/run-program.ts", "a program of a task gets the tokens of the coordinator", [
    "Object.entries(withoutSecrets(env))",
    "Object.entries(env)",
  ]),
  defect(95, "src/runner/worker/client/client-run.ts", "a run of a model continues beyond its budget", [
    'if (limit !== null) this.#stop.abort({ kind: "over_budget", reason: limit } satisfies Stop);',
    "if (limit !== null) this.#write(limit);",
  ]),
  defect(97, "src/runner/supervisor/auto-restarter.ts", "a program that crashes at once is started for ever", [
    "crashes.length >= rules.loopCrashes",
    "crashes.length > rules.loopCrashes",
  ]),
  defect(99, "src/redaction/redact.ts", "private text without a closing tag is stored", [
    "if (depth === 0) parts.push(text.slice(keptUntil));",
    "parts.push(text.slice(keptUntil));",
  ]),
  defect(100, "src/redaction/token-formats.ts", "tokens of Databricks are stored", [
    '  { kind: "databricks-token", mark: "dapi", before: 0, token: /dapi[0-9a-fA-F]{32}(?:-\\d)?/y },\n',
    "",
  ]),
  defect(100, "src/redaction/token-formats.ts", "refresh tokens of GitHub are stored", [
    'prefix: "gh[pousr]_"',
    'prefix: "gh[pous]_"',
  ]),
  defect(100, "src/redaction/user-passwords.ts", "passwords in addresses are stored", [
    '  { marks: ["://"], find: urlCredentials },\n',
    "",
  ]),
  defect(102, "src/redaction/redact.ts", "half a secret is left at the edge of what was read", [
    "const safe = isWhole ? open : open.slice(0, Math.max(0, open.length - windowMarginChars));",
    "const safe = open;",
  ]),
  defect(106, "src/snapshots/secret-names.ts", "snapshots and branches hold .env files", ["  /^\\.env/,\n", ""]),
  defect(108, "src/worker/callers.ts", "a token opens every workspace", [
    "const refused = checkClaims(claims, requested) ?? (await",
    "const refused = (await",
  ]),
  defect(111, "src/worker/callers.ts", "an await is dropped: each failed authentication is answered as one too many", [
    "if (key === null || !(await isOverLimit(env.AUTH_FAILURE_LIMITER, key))) return unauthenticated;",
    "if (key === null || !isOverLimit(env.AUTH_FAILURE_LIMITER, key)) return unauthenticated;",
  ]),
  defect(113, "src/platform/loopback.ts", "a page whose name leads to this machine reads the live page", [
    'if (isOwnHost(context.req.header("host"), origins)) return next();',
    'if (isOwnHost(context.req.header("host"), origins) || origins.length > 0) return next();',
  ]),
  defect(114, "src/local-mcp/page/page-app.ts", "a link to the live page can be used again", [
    "    this.#token = null;\n    if",
    "    if",
  ]),
  defect(116, "src/worker/oauth-server.ts", "a client gets more than the user consented to", [
    "scopes[Math.min(highest, scopes.indexOf(most))]",
    "scopes[Math.max(highest, scopes.indexOf(most))]",
  ]),
  defect(117, "src/code/tool-runner/project-folder.ts", "tools of a project run without trust", [
    "if (isTrusted(folder, config.value.analysis.trusted)) return ok(null);",
    "if (!isTrusted(folder, config.value.analysis.trusted)) return ok(null);",
  ]),
  defect(118, "src/durable/handover-box.ts", "a second machine takes what a first one has", [
    "facts.taking.claimant === claimant",
    'facts.taking.claimant !== ""',
  ]),
  defect(118, "src/machine/team/handover/adopt.ts", "a hand-over is taken after its time", [
    "runtime.now() > until",
    "runtime.now() < 0",
  ]),
  defect(122, "src/code/evolution/judge.ts", "a change that brings new findings is kept", [
    "...(fresh.length > 0 ? [`new findings: ${named(fresh)}`] : []),",
    "",
  ]),
  defect(127, "src/durable/load-limits.ts", "a busy token cannot renew its leases", [
    "if (level[share] >= 1) {",
    "if (level.usual >= 1) {",
  ]),
  defect(128, "src/durable/load-limits.ts", "under load chats lose their leases", [
    'keepsWork(name) || scope === "admin"',
    'scope === "admin"',
  ]),
  defect(129, "src/durable/admission.ts", "a full workspace takes what adds to it", [
    "if (engine.tx().isFull !== true || effectOf",
    "if (engine.tx().isFull === true || effectOf",
  ]),
  defect(131, "src/shared/check-input.ts", "JSON nested 1,000 deep is accepted", [
    "const maxDepth = 100;",
    "const maxDepth = 1_000;",
  ]),
  defect(132, "src/pairing/pairing.ts", "a grant is not sealed to the key of the phone", [
    "return sealingKey(shared, link.secret, `pairing grant ${link.id}`);",
    "return sealingKey(fromBase64url(publicKey), link.secret, `pairing grant ${link.id}`);",
  ]),
  defect(133, "src/pairing/channel.ts", "a frame that is repeated is accepted", [
    "|| n <= this.#received) return undefined;",
    ") return undefined;",
  ]),
  defect(134, "src/durable/phone-box.ts", "a second phone pairs by the link of the first one", [
    "facts.claimant === null || facts.claimant === claimant",
    'facts.claimant !== ""',
  ]),
  defect(135, "src/machine/view/phone-handlers.ts", "a phone that was removed stays paired", [
    "file.phones.filter(({ id }) => id !== phone.id)",
    "[...file.phones]",
  ]),
  defect(136, "src/local-mcp/host/phone-links.ts", "a phone calls all that the live page may", [
    "if (calls[scope].has(call.name))",
    'if (call.name !== "")',
  ]),
  defect(136, "src/durable/phone-box.ts", "one end floods the other through the relay", [
    "if (!isWithin) return socket",
    "if (frame.length < 0) return socket",
  ]),
  defect(134, "src/machine/view/phone-handlers.ts", "a phone whose grant was lost stays paired here", [
    "change(context, (file) => ({ ...file, phones: file.phones.filter(isOther) }));",
    "change(context, (file) => file);",
  ]),
  defect(137, "src/local-mcp/notify/due-notifications.ts", "a phone is notified of kinds that it has not chosen", [
    "return kinds.flatMap((kind) => pushReaders[kind](sql, runtime));",
    'return ["waits", "died", "done", "limit"].flatMap((kind) => pushReaders[kind as PushKind](sql, runtime));',
  ]),
  defect(138, "src/machine/view/request-handlers.ts", "a phone allows what SHIM has its user asked in the terminal", [
    "    if (reason !== null)\n",
    "    if (tool === reason)\n",
  ]),
  defect(138, "src/runtime/permission-requests.ts", "a request is answered twice", [
    '    this.#end(held, "answered", { ...answer, outcome: "sent" });\n',
    "",
  ]),
  defect(139, "src/machine/sessions/requests.ts", "a held hook ends without the decision from elsewhere", [
    "  if (decision === null) return {};",
    "  if (decision !== null) return {};",
  ]),
  defect(140, "src/machine/recovery/relaunch.ts", "a transcript of which the client loses a part is called whole", [
    "if (lossReasons.has(reason)) {",
    'if (lossReasons.has(reason) && reason === "deleted") {',
  ]),
  defect(140, "src/machine/recovery/rescue/session-facts.ts", "a row that its client leaves out counts as read", [
    'else if (effect !== "read") this.#leaveOut(one.line, damage, row);',
    'else if (effect === "cut_off") this.#leaveOut(one.line, damage, row);',
  ]),
  defect(140, "src/machine/sessions/projects.ts", "a renamed folder is another project", [
    "if (now === null || now === path) move(sql, other.path, path);",
    "if (now === path) move(sql, other.path, path);",
  ]),
  defect(138, "src/machine/view/request-handlers.ts", "a request is allowed of which a part was folded", [
    'if (decision !== "deny" && folded !== null && shown !== digest(text))',
    'if (decision !== "deny" && folded !== null && shown === "")',
  ]),
  defect(138, "src/machine/sessions/request-text.ts", "a part that was replaced as a secret may hide a command", [
    "  return before === after ? null :",
    "  return before !== 0 ? null :",
  ]),
  defect(138, "src/shared/visible-text.ts", "a run of blanks pushes what follows out of sight", [
    "return marked.replaceAll(longRuns,",
    'return marked.replace("",',
  ]),
  defect(139, "src/machine/sessions/requests.ts", "a denial is confirmed though the call ran", [
    'return event === "PostToolUse" || failedShell.test(error) ? "late" : "unknown";',
    'return "taken";',
  ]),
  defect(139, "src/machine/sessions/requests.ts", "a command that runs can still be denied", [
    "isSame).length > 1 || !isRunSeen(processes, run)) return false;",
    "isSame).length > 0 || !isRunSeen(processes, run)) return false;",
  ]),
  defect(139, "src/machine/sessions/requests.ts", "a request outlives its chat", [
    'if (session === chat) permissions.end(id, "chat");',
    'if (session === "") permissions.end(id, "chat");',
  ]),
  ...undoMutants,
  defect(20, "src/machine/sessions/life/life.ts", "a chat stands by the order in which its news arrived", [
    ".toSorted((one, other) => one.at - other.at || one.seq - other.seq)",
    ".toSorted((one, other) => one.seq - other.seq)",
  ]),
  defect(34, "src/machine/sessions/transcripts/record-calls.ts", "a refusal counts as the end of a dying client", [
    "    !isRefusal(error) &&",
    "",
  ]),
  defect(22, "src/machine/sessions/recoveries.ts", "two chats continue one work unwarned", [
    "if (before.by === null) return;",
    "if (before.by !== null) return;",
  ]),
  defect(22, "src/machine/sessions/life/claim.ts", "a session is taken by two chats", [
    ' || (action === "taken" && continues(other) && isHeld(sql, machine, other));',
    ";",
  ]),
];
