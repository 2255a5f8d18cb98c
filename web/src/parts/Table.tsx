// Rows in a sticky viewport: a tall spacer, inside it one box of screen height that is drawn for the current scroll position. Late means
// one old frame, never a blank one.
import { useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { flushSync } from "react-dom";
import { useNarrow, useRowHeight } from "./narrow";

export type Column<T> = { id: string; head: string; width: string; right?: boolean; cell: (row: T) => ReactNode; title?: string };

type Props<T> = {
  label: string;
  rows: T[];
  columns: Column<T>[];
  keyOf: (row: T) => string;
  selected: string | null;
  onSelect: (key: string) => void;
  onOpen: (key: string) => void;
  empty: ReactNode;
  card: (row: T) => ReactNode;
};

const CARD = 100;

export function Table<T>({ label, rows, columns, keyOf, selected, onSelect, onOpen, empty, card }: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const narrow = useNarrow();
  const pitch = useRowHeight();
  const rowHeight = narrow ? CARD : pitch;
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setHeight(box.current?.clientHeight ?? 600));
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const grid = narrow ? {} : { gridTemplateColumns: columns.map((c) => c.width).join(" ") };
  const first = Math.max(0, Math.floor(top / rowHeight) - 1);
  const last = Math.min(rows.length, Math.ceil((top + height) / rowHeight) + 1);
  const at = rows.findIndex((r) => keyOf(r) === selected);

  function onKey(e: KeyboardEvent) {
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -1e9, End: 1e9 }[e.key];
    if (step !== undefined) {
      e.preventDefault();
      const next = Math.max(0, Math.min(rows.length - 1, (at < 0 ? (step > 0 ? -1 : 0) : at) + step));
      const row = rows[next];
      if (row === undefined) return;
      onSelect(keyOf(row));
      const y = next * rowHeight;
      if (box.current && (y < box.current.scrollTop || y + rowHeight > box.current.scrollTop + height - rowHeight)) box.current.scrollTop = Math.max(0, y - height / 2);
    } else if ((e.key === "Enter" || e.key === " ") && selected) {
      e.preventDefault();
      onOpen(selected);
    }
  }

  return (
    <div className="grid" role="grid" aria-label={label} aria-rowcount={rows.length + 1}>
      {!narrow && (
        <div role="row" aria-rowindex={1} className="ghead" style={grid}>
          {columns.map((c) => (
            <span key={c.id} role="columnheader" className={c.right ? "r" : undefined} title={c.title}>
              {c.head}
            </span>
          ))}
        </div>
      )}
      <div
        className="gbody"
        ref={box}
        role="rowgroup"
        tabIndex={0}
        aria-label={`${label}: rows. Arrow keys walk, Space opens.`}
        onKeyDown={onKey}
        onScroll={(e) => {
          const t = e.currentTarget.scrollTop;
          flushSync(() => setTop(t));
        }}
      >
        {rows.length === 0 && <div role="row"><div role="gridcell" className="none">{empty}</div></div>}
        <div role="presentation" style={{ height: rows.length * rowHeight }}>
          <div role="presentation" style={{ position: "sticky", top: 0, height: Math.min(height, rows.length * rowHeight), overflow: "hidden" }}>
            <div role="presentation" style={{ transform: `translateY(${first * rowHeight - top}px)` }}>
              {rows.slice(first, last).map((row, i) => {
                const key = keyOf(row);
                return (
                  <div
                    key={key}
                    role="row"
                    aria-rowindex={first + i + 2}
                    aria-selected={key === selected}
                    className={`grow${narrow ? " cd" : ""}${key === selected ? " sel" : ""}`}
                    style={{ ...grid, height: rowHeight }}
                    onClick={() => onOpen(key)}
                  >
                    {narrow ? (
                      <div role="gridcell">{card(row)}</div>
                    ) : (
                      columns.map((c) => (
                        <span key={c.id} role="gridcell" className={c.right ? "r" : undefined}>
                          {c.cell(row)}
                        </span>
                      ))
                    )}
                  </div>
                );
              })}
            </div>
          </div>
        </div>
      </div>
    </div>
  );
}
