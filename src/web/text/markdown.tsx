import { Lexer, type MarkedToken, type Token, type Tokens } from "marked";
import type { ComponentChildren, JSX } from "preact";
import { useMemo } from "preact/hooks";
import { plain } from "../format.ts";
import { CodeBlock } from "./code-block.tsx";

/**
 * Markdown of a chat. Safe by construction: its tokens become elements of this page by the table
 * below, so HTML in it is text, no address but http, https and mailto is a link, and no picture is
 * loaded.
 */
export function Markdown({ text }: { text: string }): JSX.Element {
  return <div class="prose">{useMemo(() => blocksOf(text), [text])}</div>;
}

/** Deeper quotations and lists are shown as they were written. */
const maxDepth = 20;

/** The lexer takes the square of the length of such words, and of texts. */
const isSlow = /\S{2000}/;
const maxLexedChars = 40_000;

function blocksOf(text: string): ComponentChildren {
  const shown = plain(text);
  if (shown.length > maxLexedChars || isSlow.test(shown)) return <p class="raw">{shown}</p>;
  try {
    return nodesOf(new Lexer({ gfm: true }).lex(shown), 0);
  } catch (error) {
    // The lexer calls itself: thousands of quotations in each other are too many for the stack.
    if (!(error instanceof RangeError)) throw error;
    return <p class="raw">{shown}</p>;
  }
}

function nodesOf(tokens: readonly Token[] | undefined, depth: number): ComponentChildren {
  return tokens?.map((token) => nodeOf(token as MarkedToken, depth));
}

function nodeOf(token: MarkedToken, depth: number): ComponentChildren {
  if (depth > maxDepth) return token.raw;
  const inner = (): ComponentChildren => nodesOf("tokens" in token ? token.tokens : undefined, depth + 1);
  const render = elements[token.type] as
    | ((token: MarkedToken, inner: () => ComponentChildren, depth: number) => ComponentChildren)
    | undefined;
  if (render) return render(token, inner, depth);
  // HTML, in a line or in lines of its own.
  return "block" in token && token.block ? <p class="raw">{token.raw.trim()}</p> : token.raw;
}

type Elements = {
  readonly [Type in MarkedToken["type"]]?: (
    token: Extract<MarkedToken, { readonly type: Type }>,
    inner: () => ComponentChildren,
    depth: number,
  ) => ComponentChildren;
};

/** By the types of the lexer. A type that is not here is shown as it was written. */
const elements: Elements = {
  paragraph: (_, inner) => <p>{inner()}</p>,
  // The page has headings of its own, below which those of a chat do not stand.
  heading: ({ depth: level }, inner) => <p class={`heading level-${level}`}>{inner()}</p>,
  blockquote: (_, inner) => <blockquote>{inner()}</blockquote>,
  list: (list, _, depth) => <List list={list} depth={depth} />,
  table: (table, _, depth) => <Table table={table} depth={depth} />,
  code: ({ text, lang }) => <CodeBlock text={text} language={lang?.split(/\s/)[0] ?? ""} />,
  hr: () => <hr />,
  br: () => <br />,
  strong: (_, inner) => <strong>{inner()}</strong>,
  em: (_, inner) => <em>{inner()}</em>,
  del: (_, inner) => <del>{inner()}</del>,
  codespan: ({ text }) => <code>{text}</code>,
  link: ({ href }, inner) => <Link address={href}>{inner()}</Link>,
  image: ({ href, text }) => <Link address={href}>{`[picture: ${text || href}]`}</Link>,
  text: ({ tokens, text }, inner) => (tokens ? inner() : decoded(text)),
  escape: ({ text }) => text,
  space: () => null,
  def: () => null,
};

const addresses: ReadonlySet<string> = new Set(["http:", "https:", "mailto:"]);

function Link({ address, children }: { address: string; children: ComponentChildren }): JSX.Element {
  const isAddress = URL.canParse(address) && addresses.has(new URL(address).protocol);
  if (!isAddress) return <span title={address}>{children}</span>;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer" title={address}>
      {children}
    </a>
  );
}

function List({ list, depth }: { list: Tokens.List; depth: number }): JSX.Element {
  const items = list.items.map((item, at) => (
    <li key={at} class={item.task ? "task" : ""}>
      {item.task && <span aria-hidden="true">{item.checked ? "☑ " : "☐ "}</span>}
      {item.task && <span class="hidden">{item.checked ? "done: " : "to do: "}</span>}
      {nodesOf(
        item.tokens.filter(({ type }) => type !== "checkbox"),
        depth + 1,
      )}
    </li>
  ));
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table, depth }: { table: Tokens.Table; depth: number }): JSX.Element {
  const cells = (row: readonly Tokens.TableCell[], Cell: "td" | "th"): JSX.Element => (
    <tr>
      {row.map(({ tokens, align }, at) => (
        <Cell key={at} class={align ?? ""} {...(Cell === "th" ? { scope: "col" } : {})}>
          {nodesOf(tokens, depth + 1)}
        </Cell>
      ))}
    </tr>
  );
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Table">
      <table>
        <thead>{cells(table.header, "th")}</thead>
        <tbody>{table.rows.map((row) => cells(row, "td"))}</tbody>
      </table>
    </div>
  );
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00A0" };

/** References to characters, which a browser decodes in HTML alone. */
function decoded(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,4}));/gi, (found, decimal, hex, name: string) => {
    if (name !== undefined) return entities[name] ?? found;
    const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal);
    return code > 0 && code <= 0x10_ffff ? plain(String.fromCodePoint(code)) : found;
  });
}
