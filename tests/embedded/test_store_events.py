"""Events go an hour after they were last written."""

from __future__ import annotations

from tests.embedded.worlds import World, a_map

from fairlead.objects.builtin import Event
from fairlead.objects.kinds import CONFIG_MAP, EVENT
from fairlead.objects.meta import ObjectMeta, ObjectReference


def test_events_go_an_hour_after_they_were_last_written(world: World) -> None:
    about = ObjectReference(kind="Pod", name="p", namespace="default")

    async def story() -> list[list[str]]:
        seen = []
        for name in ("old", "repeated"):
            event = Event(metadata=ObjectMeta(name=name, namespace="default"), involved_object=about, reason="X")
            await world.client.create(EVENT, event, "default")
        await world.clock.sleep(3000)
        await world.client.patch(EVENT, "repeated", {"count": 2}, "default")
        for number in range(3):
            await world.clock.sleep(1300)
            await world.client.create(CONFIG_MAP, a_map(f"m{number}"), "default")
            seen.append([item.metadata.name for item in (await world.client.list(EVENT, "default")).items])
        return seen

    assert world.run(story()) == [["repeated"], ["repeated"], []]
