import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { OpenRequest, QuestionAnswer } from "../../contract/machine/requests.ts";
import { maxUserWordsChars } from "../../contract/user-words.ts";
import { plain } from "../format.ts";

interface QuestionsProps {
  readonly request: OpenRequest;
  readonly onChange: (chosen: readonly QuestionAnswer[]) => void;
}

/** The questions of a chat with their choices, and a line for own words. */
export function Questions({ request: { id, questions }, onChange }: QuestionsProps): JSX.Element {
  const [chosen, setChosen] = useState<readonly QuestionAnswer[]>(questions.map(() => ({ choices: [] })));
  const change = (at: number, one: QuestionAnswer): void => {
    const all = chosen.with(at, one);
    setChosen(all);
    onChange(all.every(isAnswered) ? all : []);
  };
  return (
    <>
      {questions.map(({ question, isMultiple, choices }, at) => {
        const { choices: numbers, words } = chosen[at] ?? { choices: [] };
        const choose = (number: number): void => {
          const others = isMultiple ? numbers.filter((one) => one !== number) : [];
          const isTaken = isMultiple && numbers.includes(number);
          const kept = isMultiple && words !== undefined ? { words } : {};
          change(at, { choices: isTaken ? others : [...others, number], ...kept });
        };
        const write = (text: string): void =>
          change(at, { choices: isMultiple ? numbers : [], ...(text.trim() !== "" && { words: text }) });
        return (
          <fieldset key={question}>
            <legend>{plain(question)}</legend>
            {choices.map(({ label, description }, index) => (
              <label key={label}>
                <input
                  type={isMultiple ? "checkbox" : "radio"}
                  name={`${id} ${at}`}
                  checked={numbers.includes(index + 1)}
                  onChange={() => choose(index + 1)}
                />
                <span>
                  {plain(label)}
                  {description !== null && <span class="muted">{` ${plain(description)}`}</span>}
                </span>
              </label>
            ))}
            <input
              type="text"
              aria-label={`Own words to: ${plain(question)}`}
              placeholder="or in your own words"
              maxLength={maxUserWordsChars}
              value={words ?? ""}
              onInput={({ currentTarget }) => write(currentTarget.value)}
            />
          </fieldset>
        );
      })}
    </>
  );
}

function isAnswered({ choices, words }: QuestionAnswer): boolean {
  return choices.length > 0 || words !== undefined;
}
