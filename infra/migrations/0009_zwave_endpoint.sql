-- A node with several endpoints (a two-gang dimmer) is several devices. No endpoint is the root, as 0 is.

ALTER TABLE building.devices ADD COLUMN zwave_endpoint integer CHECK (zwave_endpoint BETWEEN 0 AND 127);  -- Multi Channel: 7 bits
ALTER TABLE building.devices DROP CONSTRAINT address_of_its_bus;
ALTER TABLE building.devices ADD CONSTRAINT address_of_its_bus CHECK (
    (knx_floor IS NULL) = (knx_bloc IS NULL) AND CASE bus
        WHEN 'knx' THEN (knx_floor IS NOT NULL OR knx_objects IS NOT NULL) AND zwave_node IS NULL AND zwave_endpoint IS NULL
        WHEN 'zwave' THEN zwave_node IS NOT NULL AND knx_floor IS NULL AND knx_objects IS NULL
        ELSE knx_floor IS NULL AND knx_objects IS NULL AND zwave_node IS NULL AND zwave_endpoint IS NULL
    END
);

-- UNIQUE takes no expression, and a unique index cannot be deferred: two devices may exchange their addresses in one transaction.
ALTER TABLE building.devices
    DROP CONSTRAINT devices_line_id_zwave_node_key,
    ADD CONSTRAINT devices_line_id_zwave_node_endpoint_excl
        EXCLUDE USING btree (line_id WITH =, zwave_node WITH =, coalesce(zwave_endpoint, 0) WITH =) DEFERRABLE;
