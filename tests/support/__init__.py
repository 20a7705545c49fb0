"""What tests share: shapes, stand-ins, and programs that they start."""
