import { effectKinds } from "../../contract/effects.ts";
import type { ListedEffect } from "../../contract/machine/effects.ts";
import type { RemoteAnswer } from "../../contract/verification.ts";
import type { EffectRun } from "../../contract/work-state.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { currentState } from "../sessions/checkpoints/capture.ts";
import { neutralize } from "../sessions/text/neutralize.ts";
import { verifications } from "../../store/session-tables.ts";
import { redactAndClip, redactAndKeepEnds } from "../../redaction/redact.ts";
import { checkOf, effectKey, effectLine, effectText, outcomeOf, outcomeText } from "../sessions/effects.ts";
import { probe } from "../sessions/effects/probe.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Handlers } from "../recovery/handler-context.ts";
import { namesOf, projectGiven, readSession } from "../recovery/resolve-id.ts";

/** Sessions that are searched for the newest effects of all. */
const maxSessions = 200;
const maxProbes = 20;
const maxAnswerChars = 300;
/** The end of what tests print says how they ended. */
const outputEnds = { head: 0, tail: 2_000 };

interface KnownEffect {
  readonly run: EffectRun;
  readonly session: sessions.Session;
}

export const effectHandlers = {
  async "effects.list"(context, { session: id, project: given, check, limit }) {
    const runtime = await context.runtime();
    const search = omitUndefined({ limit: maxSessions, withScripts: true, project: projectGiven(runtime, given) });
    const known =
      id === undefined
        ? ok(runtime.store.read((sql) => sessions.list(sql, search).flatMap((one) => effectsOf(sql, one)), []))
        : await readSession(context, id, (sql, _runtime, session) => withInherited(sql, session));
    if (!known.ok) return known;
    const shown = known.value
      .toSorted((a, b) => sessions.byPerson(a.session, b.session) || b.run.at - a.run.at)
      .slice(0, limit)
      .toSorted((a, b) => b.run.at - a.run.at);
    const effects = await Promise.all(
      shown.map(async ({ run, session }, index): Promise<ListedEffect> => {
        const isChecked = check && index < maxProbes;
        return Object.assign(namesOf(runtime, session), {
          at: run.at,
          kind: run.kind,
          does: effectKinds[run.kind],
          text: effectText(run),
          outcome: outcomeOf(run),
          outcomeText: outcomeText(run),
          check: checkOf(run),
          found: isChecked ? await probe(run, { env: context.site.env, project: session.project }) : null,
        });
      }),
    );
    return ok({ effects });
  },
  async "recovery.verify"(context, { session: id, tests }) {
    const found = await readSession(context, id, (sql, _runtime, session) => ({
      session,
      runs: withInherited(sql, session).slice(-maxProbes),
    }));
    if (!found.ok) return found;
    const { session, runs } = found.value;
    const { store, now, env } = await context.runtime();
    const asked = runs.map(async ({ run }): Promise<RemoteAnswer[]> => {
      const answer = await probe(run, { env, project: session.project });
      return answer ? [{ key: effectKey(run), text: redactAndClip(answer.text, maxAnswerChars) }] : [];
    });
    const remotes = (await Promise.all(asked)).flat();
    const output = redactAndKeepEnds(tests.output, outputEnds);
    const command = tests.command === null ? null : redactAndClip(tests.command, maxAnswerChars);
    const verified = { at: now(), tests: { ...tests, command, output }, remotes };
    store.write((sql) => {
      verifications.delete(sql, { session: session.id });
      if (sessions.get(sql, session.id)) verifications.insert(sql, { session: session.id, ...verified });
    });
    return ok(verified);
  },
} satisfies Partial<Handlers>;

function effectsOf(sql: Sql, session: sessions.Session): KnownEffect[] {
  return (currentState(sql, session.id)?.effects ?? []).map((run) => ({ run, session }));
}

/** With those of the sessions before it, which may be of another machine. */
function withInherited(sql: Sql, session: sessions.Session): KnownEffect[] {
  const { continues, effects = [] } = currentState(sql, session.id) ?? {};
  const before = (continues && sessions.get(sql, continues.session)) ?? session;
  return [
    ...(continues?.effects ?? []).map((run) => ({ run, session: before })),
    ...effects.map((run) => ({ run, session })),
  ];
}

const maxShown = 5;

/** Lines of the newest of a chat and of those that it continues, each with its comparison. */
export async function checkedEffects(runtime: Runtime, { id, project }: sessions.Session): Promise<string[]> {
  const state = runtime.store.read((sql) => currentState(sql, id), null);
  const known = [...(state?.continues?.effects ?? []), ...(state?.effects ?? [])].slice(-maxShown).toReversed();
  const folder = { env: runtime.env, project };
  const lines = known.map(async (run) => {
    const found = await probe(run, folder);
    return neutralize(`${effectLine(run, runtime.now())}${found === null ? "" : `; asked now: ${found.text}`}`);
  });
  return Promise.all(lines);
}
