import type { ComponentChildren, JSX } from "preact";
import { useEffect, useErrorBoundary, useRef, useState } from "preact/hooks";
import type { Risk } from "../../contract/machine/sessions.ts";
import { readingWords } from "../../contract/readings.ts";
import { age } from "../../contract/age.ts";
import { matches, plain, words } from "../format.ts";
import type { CallInput, CallName, CallOutput } from "../backend.ts";
import { ageTick, hasMoved, announce, query, useCall, type Loaded } from "../page-state.ts";

type Node = JSX.Element | null;

/** An age that the server computed, plus the time since then by this page's own clock. */
export function Age({ ms, at, prefix = "", suffix = " ago" }: AgeProps): Node {
  void ageTick.value;
  return <span class="age">{`${prefix}${age(ms + performance.now() - at)}${suffix}`}</span>;
}

interface AgeProps {
  readonly ms: number;
  readonly at: number;
  readonly prefix?: string;
  readonly suffix?: string;
}

/** Time that is left, by the server's clock at `at`. */
export function Left({ ms, at }: { ms: number; at: number }): Node {
  void ageTick.value;
  const left = ms - (performance.now() - at);
  return <span class="age">{left <= 0 ? "over" : age(left)}</span>;
}

export function Badge({ kind, children }: { kind: string; children: ComponentChildren }): Node {
  return <span class={`badge ${kind}`}>{children}</span>;
}

/** Reasons of a risk, as a person says them. */
export function riskText({ reasons }: Risk): string {
  return reasons.map(({ name }) => (readingWords as Readonly<Record<string, string>>)[name] ?? words(name)).join(", ");
}

/** A warning, where there is one. */
export function RiskNote({ risk }: { risk: Risk }): Node {
  if (risk.level === "safe") return null;
  const reasons = riskText(risk);
  const text = `At risk of an end without notice${reasons ? `: ${reasons}` : ""}.`;
  return <p class={`note ${risk.level === "warning" ? "warn" : "bad"}`}>{text}</p>;
}

export function Trouble({ text }: { text: string | null }): Node {
  return text === null ? null : <p class="trouble" role="alert" children={text} />;
}

/** `at` is for ages in the value. */
type ChildrenOf<T> = (value: T, at: number) => ComponentChildren;

/** Shows that a view reads, why it failed, or its value, and what cannot be shown of it. */
export function Shown<T>({ loaded, children }: { loaded: Loaded<T>; children: ChildrenOf<T> }): Node {
  const { value, error, at } = loaded;
  const [broken, retry] = useErrorBoundary((problem: unknown) => reportError(problem));
  useEffect(() => {
    if (broken !== undefined) retry();
  }, [value]);
  if (broken !== undefined) return <Trouble text={`This cannot be shown: ${plain(String(broken))}`} />;
  return (
    <>
      <Trouble text={error && plain(error.message)} />
      {value === null ? !error && <p class="muted">Reading …</p> : <Children of={() => children(value, at)} />}
    </>
  );
}

/** Children that are made below the component that catches what they throw. */
function Children({ of }: { of: () => ComponentChildren }): Node {
  return <>{of()}</>;
}

interface ReadProps<Name extends CallName> {
  readonly name: Name;
  readonly input: CallInput<Name>;
  /** No change concerns it. */
  readonly isSettled?: boolean;
  readonly children: ChildrenOf<CallOutput<Name>>;
}

/** The answer of an operation that changes nothing. */
export function Read<Name extends CallName>({ name, input, isSettled, children }: ReadProps<Name>): Node {
  return <Shown loaded={useCall(name, input, isSettled)} children={children} />;
}

/** Its children are shown, and so read, only while it is open. */
export function Fold({ title, children }: { title: string; children: ComponentChildren }): Node {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>{title}</summary>
      {isOpen && children}
    </details>
  );
}

export function Lines({ lines }: { lines: readonly string[] }): Node {
  return (
    <ul>
      {lines.map((line, position) => (
        <li key={`${position} ${line}`}>{plain(line)}</li>
      ))}
    </ul>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): Node {
  return (
    <div class="empty">
      <p children={<strong>{title}</strong>} />
      {children && <p>{children}</p>}
    </div>
  );
}

interface HeadProps {
  readonly title: string;
  /** Label of the search. */
  readonly search?: string;
  /** Beside the title. */
  readonly children?: ComponentChildren;
}

/** The heading gets the focus when its view is opened. */
export function Head({ title, search, children }: HeadProps): Node {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (hasMoved.peek()) heading.current?.focus();
  }, []);
  return (
    <header class="head">
      <h1 tabIndex={-1} ref={heading} children={title} />
      {children}
      {search && (
        <label>
          <span class="hidden">{search}</span>
          <input
            type="search"
            id="search"
            value={query.value}
            onInput={({ currentTarget }) => (query.value = currentTarget.value)}
            placeholder={matchMedia("(pointer: coarse)").matches ? search : `${search} (/)`}
            autocomplete="off"
          />
        </label>
      )}
    </header>
  );
}

type FieldProps = { readonly label: string; readonly value: string; readonly onChange: (value: string) => void };

/** Applied when it is left, or with Enter: each change asks the backend. */
export function Field({ label, value, onChange }: FieldProps): Node {
  return (
    <label>
      {label}
      <input
        defaultValue={value}
        maxLength={64}
        onChange={({ currentTarget }) => onChange(currentTarget.value.trim())}
      />
    </label>
  );
}

interface SelectProps<Value extends string> {
  readonly label: string;
  readonly value: Value | "";
  readonly onChange: (value: Value | "") => void;
  readonly options: readonly Value[];
  readonly textOf?: (value: Value) => string;
}

/** A choice of one, or of any. */
export function Select<Value extends string>({
  label,
  value,
  onChange,
  options,
  textOf = words,
}: SelectProps<Value>): Node {
  return (
    <label>
      {label}
      <select value={value} onChange={({ currentTarget }) => onChange(currentTarget.value as Value | "")}>
        <option value="">all</option>
        {options.map((one) => (
          <option key={one} value={one} children={textOf(one)} />
        ))}
      </select>
    </label>
  );
}

interface ItemProps<Item> {
  readonly items: readonly Item[];
  /** Absent: the search does not concern them. */
  readonly textsOf?: ((item: Item) => readonly (string | null)[]) | undefined;
  readonly none?: ComponentChildren;
}

interface FoundProps<Item> extends ItemProps<Item> {
  readonly children: (fitting: readonly Item[]) => ComponentChildren;
}

/** The items that the search keeps, or why there is none. */
export function Found<Item>({ items, textsOf, none, children }: FoundProps<Item>): Node {
  const fitting = textsOf ? items.filter((item) => matches(query.value, textsOf(item))) : items;
  if (fitting.length > 0) return <>{children(fitting)}</>;
  return items.length > 0 ? <Empty title="Nothing matches the search." /> : <>{none}</>;
}

type FirstProps<Item> = Pick<FoundProps<Item>, "items" | "children"> & { readonly atFirst?: number };

/** The first of them, and more when they are asked for. */
export function First<Item>({ items, atFirst = 50, children }: FirstProps<Item>): Node {
  const [max, setMax] = useState(atFirst);
  const left = items.length - max;
  return (
    <>
      {children(items.slice(0, max))}
      {left > 0 && <button type="button" onClick={() => setMax(max + 200)}>{`Show more (${left} left)`}</button>}
    </>
  );
}

/** Copies a command, which the page itself cannot run. */
export function CopyButton({ command, label, isMain = true }: CopyProps): Node {
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(command);
    announce(`Copied: ${plain(command)} – paste it in a terminal, in the project's folder.`);
  };
  return (
    <button
      type="button"
      class={isMain ? "main" : ""}
      title={plain(command)}
      onClick={() => void copy()}
      children={label}
    />
  );
}

interface CopyProps {
  readonly command: string;
  readonly label: string;
  readonly isMain?: boolean;
}

/** A command to copy. @param isMain the first thing to do in its view */
export function Command({ purpose, command, isMain = false }: CommandProps): Node {
  return (
    <p class="line">
      <CopyButton command={command} label={isMain ? "Copy resume command" : "Copy"} isMain={isMain} />
      <span class="muted">{purpose}, in a terminal:</span>
      <code>{plain(command)}</code>
    </p>
  );
}

interface CommandProps {
  readonly purpose: string;
  readonly command: string;
  readonly isMain?: boolean;
}

export type Fact = readonly [name: string, value: ComponentChildren];

/** Without those that are not known, which are "-". */
export function Facts({ facts }: { facts: readonly Fact[] }): Node {
  return (
    <dl class="facts">
      {facts.map(
        ([name, value]) =>
          value !== "-" && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

export interface Column<Item> {
  readonly head: string;
  readonly cell: (item: Item) => ComponentChildren;
  readonly isNumber?: true;
}

interface TableProps<Item> extends ItemProps<Item> {
  readonly caption: string;
  readonly columns: readonly Column<Item>[];
  readonly keyOf: (item: Item) => string | number;
}

/** Below 640 px each row is a card, whose cells name their column. */
export function Table<Item>({ caption, columns, keyOf, ...found }: TableProps<Item>): Node {
  return (
    <Found {...found}>
      {(items) => (
        <table class="cards-if-narrow">
          <caption class="hidden">{caption}</caption>
          <thead>
            <tr>
              {columns.map(({ head, isNumber }) => (
                <th key={head} scope="col" class={isNumber ? "number" : ""}>
                  {head || <span class="hidden">Actions</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <tr key={keyOf(item)}>
                {columns.map(({ head, cell, isNumber }) => (
                  <td key={head} data-head={head} class={isNumber ? "number" : ""} children={cell(item)} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Found>
  );
}

export function Code({ value }: { value: unknown }): Node {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return <pre tabIndex={0} role="region" aria-label="Text" children={plain(text)} />;
}
