/** One page of a list; `for await` goes on to the end of the list, fetching pages as they are needed. */
export interface PagePromise<Page, Item> extends Promise<Page>, AsyncIterable<Item> {}

interface AnyPage {
  items: unknown[];
  next_cursor: string | null;
}

/** Makes the promise of a page iterable. */
export function paged(first: Promise<AnyPage>, fetch: (cursor: string) => Promise<AnyPage>): PagePromise<AnyPage, unknown> {
  return Object.assign(first, {
    async *[Symbol.asyncIterator]() {
      for (let page = await first; ; page = await fetch(page.next_cursor)) {
        yield* page.items;
        if (page.next_cursor === null) return;
      }
    },
  });
}
