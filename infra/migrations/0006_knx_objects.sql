-- KNX devices outside the action/floor/bloc plan name their group addresses themselves: "position=1/2/3 position_status=1/3/3".

ALTER TABLE building.devices ADD COLUMN knx_objects text CHECK (knx_objects <> '');
ALTER TABLE building.devices DROP CONSTRAINT address_of_its_bus;
ALTER TABLE building.devices ADD CONSTRAINT address_of_its_bus CHECK (
    (knx_floor IS NULL) = (knx_bloc IS NULL) AND CASE bus
        WHEN 'knx' THEN (knx_floor IS NOT NULL OR knx_objects IS NOT NULL) AND zwave_node IS NULL
        WHEN 'zwave' THEN zwave_node IS NOT NULL AND knx_floor IS NULL AND knx_objects IS NULL
        ELSE knx_floor IS NULL AND knx_objects IS NULL AND zwave_node IS NULL
    END
);
COMMENT ON COLUMN building.devices.knx_objects IS 'function=main/middle/sub[:DPT] ..., see docs/knx.md; wins over the plan.';

-- Until now every valve was taken to tell its state on action 5; the plan itself has one object for it.
UPDATE building.devices SET knx_objects = 'valve_status=5/' || knx_floor || '/' || knx_bloc
    WHERE bus = 'knx' AND role = 'radiator_valve';
