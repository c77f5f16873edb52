import { isDecisionsHeading, isRulesHeading, splitLists, type HeadedList } from "./headed-list.ts";
import { contentWords, sentences } from "./sentences.ts";
import { isOrder, isOrderFirst } from "./standing-order.ts";

/** Pure: the rules in a text. */

export function ordersIn(text: string): string[] {
  const { lists, rest } = splitLists(text, isOrderHeading);
  return [...ordersBeside(rest), ...lists.flatMap(ordersOfList)];
}

/** [CP66] Makes rules of the items: "House rules:", "Leave these alone:". */
function isOrderHeading(heading: string): boolean {
  return isRulesHeading(heading) || isOrderFirst(heading);
}

function ordersOfList({ heading, items }: HeadedList): string[] {
  return isRulesHeading(heading) ? [...items] : [`${heading} ${items.join("; ")}`];
}

function ordersBeside(text: string): string[] {
  const orders: string[] = [];
  const all = sentences(text);
  let isAfterOrder = false;
  for (const [index, one] of all.entries()) {
    const isOne = isOrder(one);
    // "It is frozen. No edits there.": a few words belong to the sentence before them.
    if (isOne && isAfterOrder && one.split(/\s+/).length <= 3) orders.push(`${orders.pop() ?? ""} ${one}`);
    else if (isOne) orders.push(contentWords(one).size === 0 ? `${all[index - 1] ?? ""} ${one}`.trim() : one);
    isAfterOrder = isOne;
  }
  return orders;
}

/** A prompt without the lists that settle something by their heading. */
export function withoutSettledLists(prompt: string): string {
  return splitLists(prompt, (heading) => isDecisionsHeading(heading) || isOrderHeading(heading)).rest;
}
