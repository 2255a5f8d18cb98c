import { Modal } from "@mantine/core";

const KEYS: [string, string][] = [
  ["Ctrl K", "find or do anything"],
  ["/", "filter"],
  ["j, k", "walk rows"],
  ["Space, Enter", "open the row"],
  ["Esc", "close the panel"],
  ["e", "explain the open workload"],
  ["l", "log of the open workload"],
  ["g w, g p, g m, g c", "workloads, projects, machines, clusters"],
  ["?", "this list"],
];

export function Keys({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title="Keys" closeButtonProps={{ "aria-label": "Close" }} centered>
      <dl className="dl">
        {KEYS.map(([key, what]) => (
          <div key={key} style={{ display: "contents" }}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
