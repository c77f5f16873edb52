import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Answer } from "../backend.ts";
import { actTrouble, announce, revision } from "../page-state.ts";
import { Lines, Trouble } from "./pieces.tsx";

export interface Action {
  readonly title: string;
  /** Effects, and whether they can be undone. */
  readonly effect: readonly string[];
  readonly verb: string;
  readonly isFinal?: true;
  /** @param requestId the same for each repeat of this request */
  readonly run: (requestId: string) => Promise<Answer<unknown>>;
  readonly done: string;
}

/** Each time that an action is asked for is another request. */
const asked = signal<{ action: Action; requestId: string } | null>(null);

/** Shows the effect of an action, and asks once. */
export function ActionButton({ action, label }: { action: Action; label?: string }): JSX.Element {
  const ask = (): void => void (asked.value = { action, requestId: crypto.randomUUID() });
  const trouble = actTrouble();
  return (
    <button
      type="button"
      class={action.isFinal ? "final" : ""}
      disabled={trouble !== null}
      title={trouble ?? undefined}
      onClick={ask}
      children={label ?? action.verb}
    />
  );
}

export function ActionButtons({ actions }: { actions: readonly Action[] }): JSX.Element {
  return (
    <div class="buttons">
      {actions.map((action) => (
        <ActionButton key={action.verb} action={action} />
      ))}
    </div>
  );
}

export function ConfirmDialog(): JSX.Element | null {
  return asked.value && <Question key={asked.value.requestId} {...asked.value} />;
}

function Question({ action, requestId }: { action: Action; requestId: string }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const [state, setState] = useState<{ isRunning: boolean; trouble: string | null }>(idle);
  // Before the next key: one pressed meanwhile would be for the page behind.
  useLayoutEffect(() => dialog.current?.showModal(), []);
  // The event `close` comes a frame later, when the next question may have been asked.
  const leave = (): void => {
    dialog.current?.close();
    if (asked.value?.requestId === requestId) asked.value = null;
  };
  const noLink = actTrouble();
  const run = async (): Promise<void> => {
    setState({ isRunning: true, trouble: null });
    const answer = await action.run(requestId);
    if (!answer.ok) return setState({ isRunning: false, trouble: answer.error.message });
    announce(action.done);
    leave();
    revision.value++;
  };
  return (
    <dialog ref={dialog} aria-labelledby="asked" onClose={leave}>
      <h2 id="asked">{action.title}</h2>
      <Lines lines={action.effect} />
      <Trouble text={noLink ?? state.trouble} />
      <div class="buttons">
        <button type="button" onClick={() => dialog.current?.close()} children="Leave it" />
        <button
          type="button"
          class={action.isFinal ? "final" : "main"}
          disabled={state.isRunning || noLink !== null}
          onClick={() => void run()}
        >
          {state.isRunning ? "Running …" : action.verb}
        </button>
      </div>
    </dialog>
  );
}

const idle = { isRunning: false, trouble: null };
